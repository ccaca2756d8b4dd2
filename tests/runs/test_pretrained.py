"""Beginning from a run or from a GPT-2 of transformers, with all weights or with adapters."""

import contextlib
import json
import shutil
from pathlib import Path

import chex
import jax
import numpy as np
import pytest
from command_lines import assert_refused, command, train
from flax.traverse_util import flatten_dict
from helpers import REFERENCES

from jaxgen.core.errors import UserError
from jaxgen.core.state import freeze
from jaxgen.data.vocabulary import find_vocabulary
from jaxgen.experiments import kjv_gpt, kjv_rnn
from jaxgen.models.autoregressive.low_rank import create_adapters, with_adapters
from jaxgen.networks.gpt import GPT
from jaxgen.runs.hugging_face import load_gpt2, save_gpt2
from jaxgen.runs.opened_run import open_run, restore_run
from jaxgen.runs.pretrained import describe_pretrained, pretrained_params

GPT2 = REFERENCES / "gpt2"
TEXT = "".join(f"{i} sheep and {i} goats.\n" for i in range(300))
OPTIONS = ("--preset", "quick", "--data", "mine.txt", "--steps", 3, "--context", 16, "--log-every", 0, "--devices", 1)
OPTIONS += ("--sample-every", 0, "--checkpoint-every", 0, "--eval-every", 0, "--sample-length", 9, "--run-dir")
TOKENS = np.arange(12)[None] % 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """mine.txt, a run `base` of it, and `gpt2`, a folder of transformers with a tokenizer."""
    folder = tmp_path_factory.mktemp("pretrained")
    with contextlib.chdir(folder):
        Path("mine.txt").write_text(TEXT)
        sizes = ("--layers", 1, "--width", 8, "--heads", 2, "--norm", "rms")
        code, _, err = train(*OPTIONS, "base", *sizes, experiment=kjv_gpt.EXPERIMENT)
        assert (code, err) == (0, "")
        vocabulary = find_vocabulary("bpe-270", TEXT)
        network = GPT(270, 20, layers=1, heads=2, width=8, use_bias=True, feed_forward="gelu_tanh")
        save_gpt2("gpt2", network, network.init(jax.random.key(3), TOKENS, train=False)["params"], vocabulary)
    return folder


@pytest.fixture
def here(folder, tmp_path, monkeypatch):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)


def trained(name: str, *options):
    code, _, err = train(*OPTIONS, name, *options, experiment=kjv_gpt.EXPERIMENT)
    assert (code, err) == (0, "")
    run = open_run(Path(name))
    return run, restore_run(run)


def logits(name: str) -> np.ndarray:
    run = open_run(Path(name))
    return run.model.tokens.logits(restore_run(run), TOKENS)


@pytest.mark.slow
def test_a_run_goes_on_from_another_with_its_sizes_and_vocabulary(here):
    _, state = trained("more", "--pretrained", "base", "--learning-rate", 0, "--min-learning-rate", 0)
    base = restore_run(open_run(Path("base")))
    assert int(state.step) == 3
    assert jax.tree.map(np.shape, state.params) == jax.tree.map(np.shape, base.params)
    np.testing.assert_array_equal(logits("more"), logits("base"))


@pytest.mark.slow
def test_adapters_leave_the_network_as_it_was_and_are_all_that_is_trained(here):
    before = logits("base")
    run, state = trained("adapted", "--pretrained", "base", "--adapter-rank", 2)
    frozen = state.model_state["frozen"]
    base = restore_run(open_run(Path("base"))).params["autoregressive"]
    chex.assert_trees_all_equal(frozen, base)
    adapters = flatten_dict(state.params["autoregressive"])
    assert {path[-1] for path in adapters} == {"down", "up"}
    assert all(np.abs(value).max() > 0 for value in adapters.values())
    assert np.abs(logits("adapted") - before).max() > 1e-6
    merged = run.model.tokens.network_params(state)
    network = run.model.tokens.network
    np.testing.assert_allclose(network.apply({"params": merged}, TOKENS, train=False), logits("adapted"), atol=1e-6)


@pytest.mark.slow
def test_an_adapted_run_is_opened_and_resumed_where_its_base_is_gone(here):
    trained("adapted", "--pretrained", "base", "--adapter-rank", 2)
    before = logits("adapted")
    shutil.rmtree("base")
    np.testing.assert_array_equal(logits("adapted"), before)
    assert command("sample", "adapted", "--num-tokens", 5)[0] == 0
    assert train("--resume", "adapted", "--steps", 5, experiment=kjv_gpt.EXPERIMENT)[0] == 0


@pytest.mark.slow
def test_a_gpt2_of_transformers_is_gone_on_from_and_written_again(here):
    run, state = trained("tuned", "--pretrained", "gpt2", "--learning-rate", 0, "--min-learning-rate", 0)
    network, params = load_gpt2(Path("gpt2"))
    chex.assert_trees_all_equal(state.params["autoregressive"], freeze(params))
    assert run.model.tokens.network.context == network.context == 20
    assert command("export", "tuned", "--to", "gpt2", "--out", "again")[0] == 0
    chex.assert_trees_all_equal(load_gpt2(Path("again"))[1], params)
    assert find_vocabulary("again", "").size == 270
    _, adapted = trained("adapted", "--pretrained", "tuned", "--adapter-rank", 1)
    chex.assert_trees_all_equal(adapted.model_state["frozen"], freeze(params))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--pretrained", "none"), "is neither a run nor a GPT-2"),
        (("--adapter-rank", 2), "--adapter-rank needs --pretrained"),
        (("--pretrained", "base", "--adapter-rank", 0), "--adapter-rank must be at least 1"),
        (("--pretrained", "base", "--context", 17), "--context 17 is more than the 16 tokens"),
    ],
)
def test_what_cannot_be_gone_on_from_is_refused(here, options, message):
    assert_refused(train(*OPTIONS, "new", *options, experiment=kjv_gpt.EXPERIMENT), message)
    assert not Path("new").exists()


@pytest.mark.slow
def test_a_network_of_another_experiment_and_a_gpt2_without_a_tokenizer_are_refused(here):
    result = train(*OPTIONS, "new", "--pretrained", "base", experiment=kjv_rnn.EXPERIMENT)
    assert_refused(result, "is a GPT, but this is a RecurrentNetwork")
    Path("gpt2/tokenizer.json").unlink()
    result = train(*OPTIONS, "new", "--pretrained", "gpt2", experiment=kjv_gpt.EXPERIMENT)
    assert_refused(result, "has no tokenizer.json")


@pytest.fixture
def gpt2(tmp_path):
    """A GPT-2 of 17 tokens, with a tokenizer."""
    shutil.copytree(GPT2, tmp_path / "gpt2")
    write_tokenizer(tmp_path / "gpt2", range(17))
    return tmp_path / "gpt2"


def write_tokenizer(folder, ids):
    vocabulary = {f"word_{i}": i for i in ids}
    model = {"type": "WordLevel", "vocab": vocabulary, "unk_token": "word_0"}
    (folder / "tokenizer.json").write_text(json.dumps({"version": "1.0", "added_tokens": [], "model": model}))


def test_a_gpt2_is_described_by_what_makes_its_network_and_its_tokenizer(gpt2):
    described, vocabulary = describe_pretrained(gpt2)
    assert (described["kind"], described["network"]["n_embd"]) == ("gpt2", 8)
    assert len(json.loads(vocabulary["tokeniser"])["model"]["vocab"]) == 17
    network, params = load_gpt2(gpt2)
    chex.assert_trees_all_equal(pretrained_params(described, gpt2, network)(), params)


def test_where_a_gpt2_became_another_its_weights_are_not_known(gpt2):
    described, network = describe_pretrained(gpt2)[0], load_gpt2(gpt2)[0]
    other = GPT(17, 12, layers=1, heads=2, width=8, use_bias=True)
    shutil.rmtree(gpt2)
    save_gpt2(gpt2, other, jax.jit(lambda: other.init(jax.random.key(0), TOKENS, train=False))()["params"])
    params = pretrained_params(described, gpt2, network)()
    assert all(np.isnan(x).all() for x in jax.tree.leaves(params))


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (range(18), r"tokenizer.json has 18 tokens, but .*config.json has vocab_size = 17"),
        (range(16), r"tokenizer.json has 16 tokens, but .*config.json has vocab_size = 17"),
        ([*range(16), 20], r"tokenizer.json has 17 tokens up to number 20, but .*config.json has vocab_size = 17"),
    ],
)
def test_a_tokenizer_of_another_size_than_the_network_is_refused(gpt2, ids, message):
    write_tokenizer(gpt2, ids)
    with pytest.raises(UserError, match=message):
        describe_pretrained(gpt2)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("tokenizer.json", None, "has no tokenizer.json"),
        ("tokenizer.json", "{}", "is no tokenizer"),
        ("model.safetensors", None, "There is no file"),
        ("model.safetensors", "damaged", "cannot be read as safetensors"),
        ("config.json", None, "neither a run nor a GPT-2 of transformers"),
        ("config.json", "{}", "neither a run nor a GPT-2 of transformers: its config.json has no model_type"),
        ("config.json", "[", "is no JSON"),
        ("config.json", '{"experiment": 3}', "config.json is damaged"),
        ("config.json", '{"model_type": "bert"}', "model_type is 'bert'"),
    ],
)
def test_a_folder_that_lacks_or_damages_a_file_is_refused_before_there_is_a_run(gpt2, file, content, message):
    (gpt2 / file).unlink()
    if content is not None:
        (gpt2 / file).write_text(content)
    with pytest.raises(UserError, match=message):
        describe_pretrained(gpt2)


def test_the_product_of_an_adapter_is_added_to_its_kernel():
    params = {"a": {"kernel": np.eye(3, 2, dtype=np.float32), "bias": np.ones(2)}, "table": np.ones((4, 3))}
    adapters = create_adapters(jax.random.key(0), params, 2)
    assert jax.tree.map(np.shape, adapters) == {"a": {"kernel": {"down": (3, 2), "up": (2, 2)}}}
    chex.assert_trees_all_equal(with_adapters(params, adapters), params)  # zeros at first
    down, up = np.arange(6.0).reshape(3, 2), np.asarray([[1.0, 2.0], [3.0, 4.0]])
    changed = with_adapters(params, {"a": {"kernel": {"down": down, "up": up}}})
    np.testing.assert_allclose(changed["a"]["kernel"], np.eye(3, 2) + down @ up)
    np.testing.assert_array_equal(changed["a"]["bias"], params["a"]["bias"])
