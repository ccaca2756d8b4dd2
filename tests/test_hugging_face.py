"""GPT-2 folders of transformers: read, written, refused. Their logits: tests/networks/test_gpt.py."""

import json
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from jaxgen.data.vocabulary import find_vocabulary
from jaxgen.errors import UserError
from jaxgen.hugging_face import load_gpt2, read_gpt2_config, save_gpt2
from jaxgen.networks.gpt import GPT

FOLDER = Path(__file__).parent / "references" / "gpt2"
TOKENS = np.arange(12)[None] % 5


@pytest.fixture
def folder(tmp_path):
    return Path(shutil.copytree(FOLDER, tmp_path / "gpt2"))


def test_a_folder_that_is_read_and_written_holds_the_same_arrays(tmp_path):
    network, params = load_gpt2(FOLDER)
    save_gpt2(tmp_path / "out", network, params)
    written, original = (load_file(f / "model.safetensors") for f in (tmp_path / "out", FOLDER))
    assert written.keys() == original.keys()
    for name, array in original.items():
        np.testing.assert_array_equal(written[name], array, err_msg=name)
    configs = [json.loads((f / "config.json").read_text()) for f in (tmp_path / "out", FOLDER)]
    same = ("model_type", "architectures", "vocab_size", "n_positions", "n_embd", "n_layer", "n_head")
    for name in (*same, "activation_function", "layer_norm_epsilon"):
        assert configs[0][name] == configs[1][name], name


@pytest.mark.parametrize("feed_forward", ["gelu_tanh", "gelu"])
def test_a_network_without_biases_is_written_with_zeros_and_gives_the_same_logits(feed_forward, tmp_path):
    network = GPT(5, 12, layers=2, heads=2, width=8, feed_forward=feed_forward)
    params = jax.tree.map(lambda x: 5 * x, network.init(jax.random.key(0), TOKENS, train=False)["params"])
    save_gpt2(tmp_path / "out", network, params)
    again, loaded = load_gpt2(tmp_path / "out")
    assert again.use_bias
    np.testing.assert_allclose(
        again.apply({"params": loaded}, TOKENS, train=False),
        network.apply({"params": params}, TOKENS, train=False),
        atol=1e-6,
    )


def test_pieces_of_words_are_written_as_a_tokeniser(tmp_path):
    vocabulary = find_vocabulary("bpe-270", "in the beginning " * 20)
    network = GPT(270, 4, layers=1, heads=1, width=4)
    save_gpt2(
        tmp_path / "out", network, network.init(jax.random.key(0), TOKENS[:, :4], train=False)["params"], vocabulary
    )
    again = find_vocabulary(str(tmp_path / "out"), "")
    np.testing.assert_array_equal(again.encode("in the end"), vocabulary.encode("in the end"))


def test_older_files_without_a_prefix_and_with_masks_are_read(folder):
    state = {
        name.removeprefix("transformer."): array for name, array in load_file(folder / "model.safetensors").items()
    }
    state |= {"h.0.attn.bias": np.ones((1, 1, 12, 12), np.float32), "lm_head.weight": state["wte.weight"]}
    save_file(state, folder / "model.safetensors")
    _, params = load_gpt2(folder)
    jax.tree.map(np.testing.assert_array_equal, params, load_gpt2(FOLDER)[1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "llama"}, "holds a model of type 'llama': only gpt2"),
        ({"activation_function": "relu"}, "activation_function = 'relu', which jaxgen's GPT lacks"),
        ({"n_inner": 20}, "n_inner = 20, which jaxgen's GPT lacks"),
        ({"n_layer": 1}, "weights of a GPT-2 of 1 blocks: it has h.1"),
        ({"n_layer": 3}, "h.2.ln_1.weight is missing"),
        ({"vocab_size": 18}, r"wte.weight has the shape \[17, 8\]"),
    ],
)
def test_a_folder_that_does_not_fit_is_refused(folder, change, message):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(UserError, match=message):
        load_gpt2(folder)


def test_a_missing_or_damaged_folder_is_refused(folder, tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        read_gpt2_config(tmp_path / "none")
    (folder / "config.json").write_text("{")
    with pytest.raises(UserError, match="is no JSON"):
        read_gpt2_config(folder)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"positions": "rotary"}, "--positions rotary"),
        ({"norm": "rms"}, "--norm rms"),
        ({"feed_forward": "swiglu"}, "--feed-forward swiglu"),
        ({"key_value_heads": 1}, "--key-value-heads 1"),
    ],
)
def test_what_is_no_gpt2_is_not_written(options, message, tmp_path):
    with pytest.raises(UserError, match=f"cannot hold a network with {message}"):
        save_gpt2(tmp_path / "out", GPT(5, 12, **options), {})
    assert not (tmp_path / "out").exists()


def test_a_folder_that_holds_something_is_not_written_to(tmp_path):
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(UserError, match="exists and is not an empty folder"):
        save_gpt2(tmp_path, GPT(5, 12), {})
