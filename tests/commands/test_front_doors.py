"""What a newcomer types first: jaxgen train, compare, info of a script's run; and `jaxgen.open_run` in Python."""

import contextlib
import json
import re
import shutil

import numpy as np
import pytest
from command_lines import TINY, assert_refused, command
from helpers import tiny_config
from PIL import Image
from tiny import tiny_images, tiny_mlp_gan_spec

import jaxgen
from jaxgen import UserError, open_run
from jaxgen.__main__ import COMMANDS
from jaxgen.commands.list import FAMILIES
from jaxgen.runs.experiment_loading import all_experiments, all_studies
from jaxgen.training import checkpoint


@pytest.fixture(scope="module")
def of_a_script(tmp_path_factory):
    """A run made by `jaxgen.train` with a spec."""
    folder = tmp_path_factory.mktemp("script") / "run"
    jaxgen.train(tiny_mlp_gan_spec(), tiny_images(), tiny_config(folder))
    return folder


def test_an_opened_run_gives_states_metrics_samples_and_a_plot(tiny):
    with contextlib.chdir(tiny):
        run = open_run("runs/tiny_experiment/001")  # which it is from anywhere
    assert run.name == "tiny_experiment"
    assert [int(run.state(which).step) for which in ("last", 4, "8")] == [8, 4, 8]
    loss = run.metrics()["generator/loss"]
    assert loss.steps.tolist() == [2, 4, 6, 8]
    assert loss.values.dtype == np.float64
    samples = run.sample(5, seed=3)
    assert samples.shape == (5, 8, 8, 1)
    np.testing.assert_array_equal(run.sample(9, seed=3)[:5], samples)
    assert not np.array_equal(run.sample(5, seed=3, checkpoint=4), samples)
    assert run.model.capabilities == ("sample", "latents", "discriminate")
    assert repr(run.model) == "GenerativeModel(sample, latents, discriminate)"
    for wrong in ({"num": 0}, {"num": -1}, {"num": 2.5}, {"num": 1, "seed": -1}, {"num": 1, "seed": 2**32}):
        with pytest.raises(UserError, match=r"^--(num|seed) must be"):
            run.sample(**wrong)
    assert len(repr(run)) < 200
    titles = [axis.get_title(loc="left") for axis in run.plot().axes]
    assert "loss" in titles


def test_a_run_of_a_script_is_opened_with_its_model(of_a_script):
    with pytest.raises(UserError, match=r"jaxgen\.open_run\(FOLDER, model=\.\.\.\)"):
        open_run(of_a_script)
    run = open_run(of_a_script, model=tiny_mlp_gan_spec())
    assert run.config.run.steps == 8
    assert run.experiment is None
    restored = run.state()
    assert int(restored.step) == 8
    assert run.sample(2).shape == (2, 8, 8, 1)
    again = open_run(of_a_script, model=run.model)  # a model does as well as its spec
    assert checkpoint.digest(again.state()) == checkpoint.digest(restored)


def test_info_of_a_run_of_a_script_needs_no_model(of_a_script):
    code, out, _ = command("info", of_a_script)
    assert code == 0
    for words in ("made by a script", "8 of 8", "generator/loss", "--batch-size"):
        assert words in out, words


def test_train_is_the_module_of_the_experiment(here):
    code, out, _ = command("train", "mnist_gan", "--help")
    assert code == 0
    assert "--latent-size" in out
    code, out, _ = command("train", "mnist_gan_losses", "--help")
    assert code == 0
    assert "--seeds" in out
    assert_refused(command("train", "mnist_gan", "--steps", 0), "--steps must be at least 1")
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("smaple", "runs"), r"no command 'smaple' \(did you mean sample\?\)"),
        (("train", "mnist_gna"), r"no experiment 'mnist_gna' \(did you mean mnist_gan\?\)"),
        (("train", "MNIST-GAN"), r"no experiment 'MNIST-GAN' \(did you mean mnist_gan\?\)"),
        (("train", "../mnist_gan"), "no experiment"),
        (("train", "mine/own.py"), r"run by its file: python mine/own\.py"),
        (("compare", "runs/a"), "two runs or more"),
    ],
)
def test_what_is_mistyped_is_refused_with_the_nearest_name(here, arguments, words):
    assert_refused(command(*arguments), words)


def test_the_help_names_every_command_at_80_columns(here):
    code, out, _ = command("--help")
    assert code == 0
    assert all(len(line) <= 80 for line in out.splitlines())
    for name in ("compare", "list", "sample", "train"):
        assert f"\n  {name} " in out


def test_runs_are_compared_by_their_folders_alone(tiny, here):
    for name, rate in (("a", 0.5), ("b", 0.25)):
        shutil.copytree(tiny / "runs/tiny_experiment/001", here / name)
        record = json.loads((here / name / "config.json").read_text())
        record["config"]["best_metric"] = f"eval/{name}"
        record["config"]["latent_size"] = int(8 * rate)
        record["config"][{"a": "optimizer", "b": "optimiser"}[name]] = "adam"  # of an earlier version
        (here / name / "config.json").write_text(json.dumps(record))
        (here / name / "experiment.py").write_text("raise SystemExit('must not be run')")
    code, out, _ = command("compare", "a", "b", "--metrics", "generator/loss")
    assert code == 0, out
    assert "--latent-size" in out
    assert "--steps" not in out
    assert "--optimi" not in out
    assert Image.open("compare.png").size[0] > 500
    assert_refused(command("compare", "a", "b"), r"compare\.png exists")
    out = command("compare", *["a"] * 12, "--metrics", "generator/loss", "--out", "many.png")[1]
    assert len(re.findall(r"^generator/loss( +\d\.\d+)+ *$", out, re.MULTILINE)) == 3  # tables, no number broken
    assert_refused(command("compare", "a", "b", "--overwrite", "--metrics", "no"), "No run has the metric 'no'")
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(here / "b")
    assert_refused(command("compare", "a", "b", "--overwrite"), "b is not the folder of a run")


def test_processes_are_joined_by_the_program_that_calls_train(here):
    with pytest.raises(UserError, match=r"call jax\.distributed\.initialize before jaxgen\.train"):
        jaxgen.train(tiny_mlp_gan_spec(), tiny_images(), coordinator="auto")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"model": type(tiny_mlp_gan_spec())}, "a model must be a spec"),
        ({"data": np.zeros((4, 8, 8, 1), np.uint8)}, r"jaxgen\.data\.load makes one\), not ndarray"),
        ({"config": {"steps": 4}}, r"options by name \(steps=500\), not \{'steps': 4\}"),
        ({"stesp": 4}, r"no option 'stesp' \(did you mean steps\?\)"),
    ],
)
def test_what_train_cannot_take_is_refused_before_any_work(here, wrong, words):
    with pytest.raises(TypeError, match=words):
        jaxgen.train(**{"model": tiny_mlp_gan_spec(), "data": tiny_images(), **wrong})
    assert list(here.iterdir()) == []


def test_every_command_says_what_it_does_and_every_experiment_has_a_family():
    assert all(COMMANDS.values()), "the first line of a command's file is its name, a colon, and what it does"
    assert {e.family for e in (*all_experiments(), *all_studies())} == set(FAMILIES)


def test_the_package_names_its_version():
    assert jaxgen.__version__ == command("--version")[1].strip()
    assert TINY.name == "tiny_experiment"
