"""The command lines with texts: train, sample by prompts, go on, evaluate."""

import contextlib
import json
import math
import re
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from command_lines import assert_refused, command, train

from jaxgen.evaluation.records import read_evaluations
from jaxgen.experiments import kjv_gpt
from jaxgen.runs.opened_run import open_run, restore_run

TEXT = "".join(f"{i} sheep and {i} goats.\n" for i in range(300))
OPTIONS = ("--preset", "quick", "--data", "mine.txt", "--steps", 4, "--layers", 1, "--width", 8, "--heads", 1)
OPTIONS += ("--context", 16, "--log-every", 2, "--sample-every", 2, "--checkpoint-every", 2, "--eval-every", 2)
OPTIONS += ("--devices", 1, "--sample-length", 20)
OPTIONS += ("--positions", "learned", "--norm", "layer", "--feed-forward", "gelu")  # as a GPT-2, to be exported


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with mine.txt and runs/kjv_gpt/001, of 4 steps, and what was said."""
    folder = tmp_path_factory.mktemp("text")
    with contextlib.chdir(folder):
        (folder / "mine.txt").write_text(TEXT)
        return folder, train(*OPTIONS, experiment=kjv_gpt.EXPERIMENT)


@pytest.fixture
def run(trained, monkeypatch):
    monkeypatch.chdir(trained[0])
    return "runs/kjv_gpt/001"


def test_a_run_leaves_texts_and_its_vocabulary(trained):
    folder, (code, out, err) = trained
    assert (code, err) == (0, "")
    run_dir = folder / "runs" / "kjv_gpt" / "001"
    assert sorted(p.name for p in (run_dir / "samples").iterdir()) == [f"step_{i:07d}.txt" for i in (0, 2, 4)]
    texts = (run_dir / "samples" / "step_0000004.txt").read_text().rstrip("\n").split("\n" + "-" * 80 + "\n")
    assert len(texts) == 4
    vocabulary = json.loads((run_dir / "config.json").read_text())["assets"]["vocabulary"]["characters"]
    assert vocabulary == "".join(sorted(set(TEXT)))
    assert "samples  runs/kjv_gpt/001/samples/step_0000004.txt" in out
    typed = re.findall(r"^  jaxgen (.*)$", out, re.MULTILINE)
    assert [line.split()[0] for line in typed] == ["sample", "info"]
    with contextlib.chdir(folder):
        for line in typed:
            assert command(*line.split())[0] == 0, line


def test_texts_go_on_from_their_prompt_and_follow_the_seed(run):
    draw = ("sample", run, "--prompt", "3 sheep", "--num-tokens", 40, "--seed")
    (code, first, _), again, other = (command(*draw, seed) for seed in (1, 1, 2))
    assert code == 0
    assert first.startswith("3 sheep")
    assert len(first) == len("3 sheep") + 40 + 1
    assert again[1] == first != other[1]


@pytest.mark.slow
def test_several_prompts_are_gone_on_with_side_by_side_as_each_alone(run, trained):
    prompts = ("3 sheep and", "1")
    draw = ("sample", run, "--num-tokens", 30, "--temperature", 0)
    assert command(*draw, "--prompt", *prompts, "--out", "texts.txt")[0] == 0
    texts = (trained[0] / "texts.txt").read_text().rstrip("\n").split("\n" + "-" * 80 + "\n")
    for prompt, text in zip(prompts, texts, strict=True):
        assert command(*draw, "--prompt", prompt)[1].rstrip("\n") == text.rstrip("\n")


def test_a_text_ends_before_its_stop_string(run):
    draw = ("sample", run, "--prompt", "3 sheep", "--num-tokens", 60)
    whole = command(*draw)[1].rstrip("\n")
    stop = whole[25:27]
    assert command(*draw, "--stop", stop)[1] == whole[: whole.index(stop, len("3 sheep"))] + "\n"


def test_texts_are_evaluated_on_the_held_out_part_and_for_their_variety(run, trained):
    code, _, _ = command("evaluate", run, "--num-samples", 5)
    assert code == 0
    values = read_evaluations(trained[0] / run)[-1]["values"]
    nats = values["held_out/autoregressive/loss"]
    assert values["text/bits_per_character"] == pytest.approx(nats / math.log(2), rel=1e-5)  # characters are its tokens
    assert values["text/perplexity"] == pytest.approx(math.exp(nats), rel=1e-5)
    assert 0 < values["diversity/distinct_1"] <= 1
    assert 0 < values["diversity/held_out_self_bleu"] < 1


@pytest.mark.slow
@pytest.mark.parametrize("what", ["samples", "logits"])
def test_an_exported_program_gives_what_the_model_does(run, trained, what):
    """In a process that has jax alone."""
    code, _, _ = command("export", run, "--to", what, "--out", "program.stablehlo", "--num", 3, "--overwrite")
    assert code == 0
    opened = open_run(Path(run))
    state, tokens = restore_run(opened), np.arange(22).reshape(2, 11) % 7
    if what == "samples":
        argument, expected = "uint32(5)", opened.model.sample(state, jax.random.key(5), 3)
    else:
        argument, expected = "int32(range(22)).reshape(2, 11) % 7", opened.model.tokens.logits(state, tokens)
    script = (
        "import sys, jax, jax.numpy as jnp, numpy as np\n"
        "program = jax.export.deserialize(bytearray(open('program.stablehlo', 'rb').read()))\n"
        f"np.save('result.npy', program.call(jnp.{argument}))\n"
        "assert not [m for m in sys.modules if m.split('.')[0] in ('jaxgen', 'flax', 'optax')]\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    np.testing.assert_allclose(np.load("result.npy"), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--out", "x.txt"), "must end in .stablehlo"),
        (("--out", "x.stablehlo", "--num", 0), "--num must be at least 1"),
        (("--out", "mine.txt", "--to", "gpt2"), "exists and is not an empty folder"),
    ],
)
def test_impossible_exports_are_refused(run, options, message):
    assert_refused(command("export", run, *options), message)


def test_logits_and_gpt2_are_of_models_of_text(tiny, monkeypatch):
    monkeypatch.chdir(tiny)
    export = ("export", "runs/tiny_experiment/001", "--to")
    assert_refused(command(*export, "logits", "--out", "x.stablehlo"), "has no logits of tokens")
    assert_refused(command(*export, "gpt2", "--out", "x"), "is no GPT")
    assert command(*export, "samples", "--out", "x.stablehlo")[0] == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--prompt", "{"), "The character '{' is not in the vocabulary"),
        (("--num-tokens", 0), "--num-tokens must be at least 1"),
        (("--temperature", -1), "--temperature must be at least 0"),
        (("--top-k", 0), "--top-k must be at least 1"),
        (("--top-p", 0), "--top-p must be above 0 and at most 1, not 0.0"),
        (("--stop", ""), "--stop must have at least one character"),
        (("--label", 3), "is a model of text, for which --label means nothing"),
        (("--out", "x.png"), "must end in .txt"),
        (("--num", 3, "--prompt", "1", "2"), "--num 3 does not fit 2 prompts"),
    ],
)
def test_impossible_samples_are_refused(run, options, message):
    assert_refused(command("sample", run, *options), message)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--width", 9), "--width 9 must be a multiple of twice --heads 1"),
        (("--key-value-heads", 3, "--heads", 4), "--heads 4 must be a multiple of --key-value-heads 3"),
        (("--dropout", 1), "--dropout must be at least 0 and below 1"),
        (("--micro-batches", 5), "cannot be cut into --micro-batches 5"),
        (("--data", "none.txt"), "There is no file none.txt"),
        (("--vocabulary", "words"), "neither characters, bytes"),
        (("--context", 1), "--context must be at least 2"),
    ],
)
def test_impossible_options_are_refused(run, options, message):
    assert_refused(train(*OPTIONS, *options, experiment=kjv_gpt.EXPERIMENT), message)


def test_prompts_mean_nothing_for_images(tiny, monkeypatch):
    monkeypatch.chdir(tiny)
    assert_refused(command("sample", "runs/tiny_experiment/001", "--prompt", "a"), "--prompt means nothing")
