"""GPT-2 folders of transformers: read, written, refused."""

import functools
import json
import shutil
from pathlib import Path

import chex
import jax
import numpy as np
import pytest
from helpers import REFERENCES
from safetensors.numpy import load_file, save_file

from jaxgen.core.errors import UserError
from jaxgen.data.vocabulary import find_vocabulary
from jaxgen.networks.gpt import GPT
from jaxgen.runs.hugging_face import load_gpt2, save_gpt2
from jaxgen.runs.hugging_face_config import read_gpt2_config

FOLDER = REFERENCES / "gpt2"
ODD = REFERENCES / "gpt2_configs.npz"
INDEX = "model.safetensors.index.json"
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


def test_pieces_of_words_are_written_as_a_tokenizer(tmp_path):
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
    chex.assert_trees_all_equal(params, load_gpt2(FOLDER)[1])


@pytest.mark.parametrize("name", ["untied", "unscaled", "inverse_only", "exact_gelu"])
def test_odd_configs_give_the_logits_of_transformers_and_are_written_as_they_were(name, tmp_path):
    arrays = {key.removeprefix(f"{name}/"): x for key, x in np.load(ODD).items() if key.startswith(f"{name}/")}
    state = {key.removeprefix("state/"): x for key, x in arrays.items() if key.startswith("state/")}
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "config.json").write_text(str(arrays["config"]))
    save_file(state, tmp_path / "in" / "model.safetensors")
    network, params = load_gpt2(tmp_path / "in")
    logits = jax.jit(functools.partial(network.apply, train=False))({"params": params}, arrays["tokens"])
    np.testing.assert_allclose(logits, arrays["logits"], atol=2e-5 * np.abs(arrays["logits"]).max())
    save_gpt2(tmp_path / "out", network, params)
    assert load_gpt2(tmp_path / "out")[0] == network
    written = load_file(tmp_path / "out" / "model.safetensors")
    assert written.keys() == state.keys()
    chex.assert_trees_all_equal(written, state)


def test_logits_are_cached_with_the_scale_of_each_block():
    """`step` has to scale as a whole pass does."""
    network = GPT(5, 6, layers=2, heads=2, width=8, scale_attention=False, scale_attention_by_layer=True)
    tokens = np.arange(6)[None] % 5

    @jax.jit
    def logits():
        variables = jax.tree.map(lambda x: 20 * x, network.init(jax.random.key(0), tokens, train=False))
        cache = network.apply(variables, tokens[:, :5], method="fill")
        stepped = network.apply(variables, cache, tokens[:, 5], np.int32(5), method="step")[1]
        return stepped, network.apply(variables, tokens, train=False)[:, 5]

    np.testing.assert_allclose(*logits(), rtol=1e-4)


# ---------------------------------------------------------------- config.json


def with_config(folder, change):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "llama"}, "model_type is 'llama', and only 'gpt2'"),
        ({"activation_function": "quick_gelu"}, "activation_function = 'quick_gelu': it must be one of gelu_new,"),
        ({"n_embd": "8"}, "n_embd = '8': it must be a whole number"),
        ({"n_embd": 8.0}, "n_embd = 8.0: it must be a whole number"),
        ({"n_head": True}, "n_head = True: it must be a whole number"),
        ({"n_layer": -2}, "n_layer = -2: it must be a whole number of at least 1"),
        ({"vocab_size": 2**31}, "vocab_size = 2147483648: it must"),
        ({"n_head": 3}, "n_embd = 8, which n_head = 3 does not divide"),
        ({"n_inner": 0}, "n_inner = 0: it must be null or"),
        ({"n_positions": None}, "n_positions = None: it must"),
        ({"n_ctx": 6}, "n_ctx = 6, but another n_positions: 12"),
        ({"hidden_size": 9}, "hidden_size = 9, but another n_embd: 8"),
        ({"layer_norm_epsilon": float("nan")}, "layer_norm_epsilon = nan: it must be a number above 0"),
        ({"layer_norm_epsilon": -1e-5}, "layer_norm_epsilon = -1e-05: it must be"),
        ({"scale_attn_weights": "no"}, "scale_attn_weights = 'no': it must be true or false"),
        ({"scale_attn_by_inverse_layer_idx": 1}, "scale_attn_by_inverse_layer_idx = 1: it must be true or false"),
        ({"tie_word_embeddings": None}, "tie_word_embeddings = None: it must be true or false"),
        ({"reorder_and_upcast_attn": 2}, "reorder_and_upcast_attn = 2: it must be true or false"),
        ({"attn_pdrop": 1.5}, "attn_pdrop = 1.5: it must be a number from 0 to below 1"),
        ({"resid_pdrop": "a"}, "resid_pdrop = 'a': it must be"),
        ({"embd_pdrop": -1}, "embd_pdrop = -1: it must be"),
        ({"add_cross_attention": True}, "add_cross_attention = True: it must be false"),
        ({"is_encoder_decoder": True}, "is_encoder_decoder = True: it must be false"),
        ({"architectures": ["GPT2DoubleHeadsModel"]}, r"architectures = \['GPT2DoubleHeadsModel'\]: it must be"),
        ({"quantization_config": {"bits": 8}}, r"quantization_config = \{'bits': 8\}: it must be absent"),
        ({"pruned_heads": {"0": [1]}}, "pruned_heads = .* it must be absent"),
        ({"per_layer_config": {"0": {}}}, "per_layer_config = .* it must be absent"),
        ({"auto_map": {"AutoModel": "a.B"}}, "auto_map = .* runs no code"),
        ({"torch_dtype": "int8"}, "torch_dtype = 'int8': it must be float16"),
        ({"dtype": 3}, "dtype = 3: it must be float16"),
        ({"alibi": True}, "has the field 'alibi', which jaxgen does not know"),
        ({"x" * 99: True}, "has the field 'x{59}..., which"),
    ],
)
def test_each_field_that_does_not_fit_is_refused_by_name(folder, change, message):
    with_config(folder, change)
    with pytest.raises(UserError, match=message):
        read_gpt2_config(folder)


def test_fields_that_change_no_logits_are_ignored_and_other_names_are_known(folder):
    odd = {"n_ctx": 12, "hidden_size": 8, "task_specific_params": {"a": 1}, "summary_type": "mean", "dtype": "bfloat16"}
    odd |= {"architectures": ["GPT2Model"], "pruned_heads": {}, "attn_pdrop": 0, "reorder_and_upcast_attn": True}
    with_config(folder, odd)
    assert read_gpt2_config(folder) == read_gpt2_config(FOLDER)
    (folder / "config.json").write_text('{"model_type": "gpt2"}')
    sizes = {"vocab_size": 50_257, "n_positions": 1024, "n_embd": 768, "n_layer": 12, "n_head": 12}
    assert read_gpt2_config(folder).items() >= sizes.items()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "config.json is no JSON"),
        ("\xff", "config.json is no JSON"),
        ("[" * 100_000, "config.json is no JSON"),
        ("[1]", "config.json holds no JSON object, but \\[1\\]"),
        ("{}", "model_type is missing"),
        (None, "There is no file .*config.json"),
    ],
)
def test_a_missing_or_damaged_config_is_refused(folder, content, message):
    if content is None:
        (folder / "config.json").unlink()
    else:
        (folder / "config.json").write_text(content, "latin-1")
    with pytest.raises(UserError, match=message):
        read_gpt2_config(folder)


# ---------------------------------------------------------------- weights


def with_weights(folder, change, without=()):
    state = load_file(folder / "model.safetensors") | change
    save_file({name: x for name, x in state.items() if name not in without}, folder / "model.safetensors")


KERNEL = "transformer.h.1.mlp.c_fc.weight"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({KERNEL: np.zeros((32, 8), np.float32)}, r"h.1.mlp.c_fc.weight has the shape \[32, 8\], not \[8, 32\]"),
        ({KERNEL: np.zeros((8, 32), np.int8)}, "h.1.mlp.c_fc.weight as int8: only float16"),
        ({KERNEL: np.full((8, 32), np.nan, np.float32)}, "h.1.mlp.c_fc.weight that are not finite"),
        ({KERNEL: np.full((8, 32), 1e300)}, "h.1.mlp.c_fc.weight that are not finite in float32"),
        ({"score.weight": np.zeros(3, np.float32)}, "model.safetensors holds score.weight, which the network"),
        ({"wte.weight": np.zeros(3, np.float32)}, "holds wte.weight twice"),
        ({"lm_head.weight": np.zeros((17, 8), np.float32)}, "lm_head.weight that differs from wte.weight"),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_name(folder, change, message):
    with_weights(folder, change)
    with pytest.raises(UserError, match=message):
        load_gpt2(folder)


def test_weights_of_eight_bits_are_refused_by_name(folder):
    """As safetensors are written: the size of the header, the header, the arrays."""
    header = json.dumps({"wte.weight": {"dtype": "F8_E4M3", "shape": [17, 8], "data_offsets": [0, 136]}}).encode()
    content = len(header).to_bytes(8, "little") + header + bytes(136)
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(UserError, match=r"model.safetensors .*(wte.weight|F8_E4M3)"):
        load_gpt2(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_layer": 1}, "holds h.1.attn.c_attn.bias, which the network that config.json describes lacks"),
        ({"n_layer": 2**31 - 1}, "h.2.ln_1.weight is missing"),
        ({"vocab_size": 18}, r"wte.weight has the shape \[17, 8\], not \[18, 8\]"),
        ({"n_inner": 20}, r"h.0.mlp.c_fc.weight has the shape \[8, 32\], not \[8, 20\]"),
        ({"tie_word_embeddings": False}, "lm_head.weight is missing"),
    ],
)
def test_weights_of_another_network_are_refused(folder, change, message):
    with_config(folder, change)
    with pytest.raises(UserError, match=message):
        load_gpt2(folder)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_weights_of_other_floats_are_read_as_float32(folder, dtype):
    state = load_file(folder / "model.safetensors")
    save_file({name: x.astype(dtype) for name, x in state.items()}, folder / "model.safetensors")
    _, params = load_gpt2(folder)
    assert {x.dtype.name for x in jax.tree.leaves(params)} == {"float32"}
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-2), params, load_gpt2(FOLDER)[1])


@pytest.fixture
def sharded(folder):
    """The same weights in two files."""
    state, places = load_file(folder / "model.safetensors"), {}
    (folder / "model.safetensors").unlink()
    for i in range(2):
        file = f"model-0000{i + 1}-of-00002.safetensors"
        part = dict(sorted(state.items())[i::2])
        save_file(part, folder / file)
        places |= dict.fromkeys(part, file)
    (folder / INDEX).write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": places}))
    return folder


def test_weights_in_several_files_are_read(sharded):
    chex.assert_trees_all_equal(load_gpt2(sharded)[1], load_gpt2(FOLDER)[1])


def test_a_missing_or_odd_part_of_several_is_refused(sharded):
    first, second = sorted(sharded.glob("model-*"))
    index = json.loads((sharded / INDEX).read_text())
    kept = second.read_bytes()

    def refused(message, places=index["weight_map"]):
        (sharded / INDEX).write_text(json.dumps({"weight_map": places}))
        with pytest.raises(UserError, match=message):
            load_gpt2(sharded)

    refused("no weight_map", [1])
    refused("no weight_map", {"a": 1})
    refused("names the file '../config.json', which is not there", {"a": "../config.json"})
    refused("model-00001-of-00002.safetensors does not hold wte.weight", {"wte.weight": first.name})
    shutil.copy(first, second)
    refused("00002.safetensors does not hold")
    refused(
        "00002.safetensors holds transformer.*, which model-00001-of-00002.safetensors holds as well",
        {name: file for file in (first.name, second.name) for name in load_file(first)}
        | {min(load_file(first)): first.name},
    )
    second.write_bytes(kept[:100])
    refused("00002.safetensors cannot be read")
    second.unlink()
    refused("names the file 'model-00002-of-00002.safetensors', which is not there")


def test_a_folder_with_pickled_weights_alone_says_what_to_do(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"in pytorch_model.bin alone.*save_pretrained"):
        load_gpt2(folder)
    (folder / "pytorch_model.bin").unlink()
    with pytest.raises(UserError, match=r"There is no file .*model.safetensors"):
        load_gpt2(folder)


# ---------------------------------------------------------------- writing


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
