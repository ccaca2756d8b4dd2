"""Tiny runs that translate emoji, and `jaxgen translate`."""

import contextlib

import numpy as np
import pytest
from command_lines import assert_refused, command, train
from PIL import Image

from jaxgen.experiments import emoji_cycle_gan, emoji_pix2pix

pytestmark = pytest.mark.slow
ONCE = ("--preset", "quick", "--steps", 2, "--batch-size", 4, "--devices", 1, "--steps-per-dispatch", 2)
ONCE += ("--width", 4, "--discriminator-width", 4)


@pytest.fixture(scope="module", params=[emoji_pix2pix, emoji_cycle_gan])
def folder(request, tmp_path_factory):
    """A folder with two folders of pictures, and a run of 2 steps of an experiment on them."""
    folder = tmp_path_factory.mktemp("translation")
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (folder / name).mkdir()
        for i in range(20):
            pixels = np.kron(rng.integers(0, 255, (4, 4, 3)), np.ones((4, 4, 1))).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i:03d}.png")
    with contextlib.chdir(folder):
        options = ("--data", "./a", "--target", "b", "--image-size", 16)
        result = train(*ONCE, *options, experiment=request.param.EXPERIMENT)
        assert result[0] == 0, result
        assert "jaxgen translate runs/" in result[1]
        yield folder


@pytest.fixture
def here(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return folder


def read(path):
    return np.asarray(Image.open(path), np.int32)


@pytest.fixture
def run(here):
    return next((here / "runs").glob("*/001"))


def test_pictures_are_translated_there_and_back(here, run):
    backwards = [("--back",)] if "cycle" in str(run) else []
    for options in [(), *backwards]:
        result = command("translate", run, "a/000.png", "a/001.png", "--out", f"out{len(options)}", *options)
        assert result[0] == 0, result
        assert "2 translated" in result[1]
        assert read(f"out{len(options)}/000.png").shape == (16, 16, 3)
        assert (read(f"out{len(options)}/000.png") != read(f"out{len(options)}/001.png")).any()


def test_held_out_pictures_lie_beside_their_counterparts(here, run):
    result = command("translate", run, "--held-out", "--out", "held")
    assert result[0] == 0, result
    assert sorted(path.name for path in (here / "held").iterdir()) == ["source", "target", "translated"]
    np.testing.assert_array_equal(read("held/source/00001.png"), read("a/017.png"))
    np.testing.assert_array_equal(read("held/target/00001.png"), read("b/017.png"))


def test_what_makes_no_sense_is_refused(here, run):
    cases = [
        ((), "Name one or more images"),
        (("a/000.png", "--held-out"), "or give --held-out"),
        (("a/000.png", "b/000.png"), "Two images would become one file, .*000.png"),
        (("a/000.png", "--out", "a/001.png"), "is a file"),
    ]
    if "pix2pix" in str(run):
        cases.append((("a/000.png", "--back"), "no way back"))
    for arguments, words in cases:
        assert_refused(command("translate", run, *arguments), words)
    assert_refused(command("restore", run, "a/000.png"), "does not restore images: use jaxgen translate")


def test_options_that_do_not_fit_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for experiment, options, words in (
        (emoji_pix2pix, ("--data", "mnist"), "no two collections"),
        (emoji_pix2pix, ("--halvings", 6), "multiples of 64, not 32x32"),
        (emoji_cycle_gan, ("--width", 0), "--width must be at least 1"),
    ):
        assert_refused(train("--devices", 1, *options, experiment=experiment.EXPERIMENT), words)
