"""Tiny runs that restore images, and `jaxgen restore` on images of any size."""

import contextlib

import jax
import numpy as np
import pytest
from command_lines import assert_refused, command, train
from PIL import Image

from jaxgen.commands._tiles import in_tiles
from jaxgen.data import embedded_sets
from jaxgen.experiments import emoji_super_resolution, mnist_inpainting, photo_super_resolution
from jaxgen.networks.super_resolution import SRResNet
from jaxgen.runs.opened_run import open_run, restore_run

pytestmark = pytest.mark.slow
ONCE = ("--preset", "quick", "--steps", 2, "--batch-size", 4, "--devices", 1, "--steps-per-dispatch", 2)
ONCE += ("--width", 4, "--blocks", 1)
LARGER, FILLED = "runs/emoji_super_resolution/001", "runs/mnist_inpainting/001"


@pytest.fixture(scope="module")
def folder(tmp_path_factory, mnist_is_unpacked_once):
    """A folder with a run of 2 steps of two experiments, and pictures."""
    whole, folder = embedded_sets.mnist_arrays(), tmp_path_factory.mktemp("restoration")
    few = type(whole)(*(values[:50] for values in whole))
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(folder):
        patch.setattr(embedded_sets, "mnist_arrays", lambda: few)
        for experiment, options in (
            (emoji_super_resolution, ("--adversary", "srgan", "--perceptual-weight", 0.1, "--discriminator-width", 4)),
            (mnist_inpainting, ("--adversary", "patch", "--network", "resnet", "--discriminator-width", 4)),
        ):
            result = train(*ONCE, *options, experiment=experiment.EXPERIMENT)
            assert result[0] == 0, result
            assert "jaxgen restore runs/" in result[1]
            assert "jaxgen sample" not in result[1]
        smooth = np.kron(np.random.default_rng(0).integers(0, 255, (10, 13, 3)), np.ones((10, 10, 1)))
        Image.fromarray(smooth.astype(np.uint8)).save("photo.png")
        Image.new("L", (28, 28), 100).save("digit.png")
        mask = np.zeros((28, 28), np.uint8)
        mask[5:9, 3:20] = 255
        Image.fromarray(mask).save("mask.png")
        yield folder


@pytest.fixture
def here(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return folder


def test_a_picture_of_any_size_is_made_larger(here):
    result = command("restore", LARGER, "photo.png")
    assert result[0] == 0, result
    assert Image.open("restored/photo.png").size == (260, 200)


def test_tiles_leave_no_seam():
    """Away from the border, a picture that goes through in tiles is the one that goes through whole."""
    network, given = SRResNet(1, 2, width=2), np.random.default_rng(0).normal(size=(120, 230, 3)).astype(np.float32)
    variables = network.init(jax.random.key(0), given[None], train=False)
    whole = network.apply(variables, given[None], train=False)[0]
    tiled = in_tiles(lambda given: network.apply(variables, given, train=False), given, "tiles", before=0, total=1)
    assert tiled.shape == whole.shape == (240, 460, 1)
    np.testing.assert_allclose(tiled[80:-80, 80:-80], whole[80:-80, 80:-80], atol=1e-4 * np.abs(whole).max())


def test_a_picture_of_the_size_of_the_images_is_restored_as_in_training(here):
    run = open_run(FILLED)
    state, given = restore_run(run, "last"), np.asarray(Image.open("digit.png"), np.float32)[None, :, :, None]
    known = (np.asarray(Image.open("mask.png"), np.float32) < 128)[None, :, :, None].astype(np.float32)
    whole = run.model.mapping.apply(state, run.model.mapping.take(given / 127.5 - 1, known))
    assert command("restore", FILLED, "digit.png", "--mask", "mask.png", "--out", "exactly")[0] == 0
    found = np.asarray(Image.open("exactly/digit.png"), np.float32)
    np.testing.assert_allclose(found, 127.5 * (np.asarray(whole)[0, :, :, 0] + 1), atol=0.51)


def test_spoiled_pictures_are_scored(here):
    result = command("restore", LARGER, "photo.png", "digit.png", "--degrade", "--out", "scored")
    assert result[0] == 0, result
    assert "mean" in result[1]
    names = ["digit.png", "digit_without.png", "photo.png", "photo_without.png"]
    assert sorted(path.name for path in (here / "scored").iterdir()) == names
    assert Image.open("scored/photo.png").size == (130, 100)


def test_what_the_mask_says_is_drawn_anew(here):
    result = command("restore", FILLED, "digit.png", "--mask", "mask.png", "--out", "filled")
    assert result[0] == 0, result
    picture, mask = np.asarray(Image.open("filled/digit.png")), np.asarray(Image.open("mask.png")) > 0
    np.testing.assert_array_equal(picture[~mask], 100)
    assert (picture[mask] != 100).any()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("restore", LARGER), "Name one or more images"),
        (("restore", LARGER, "nothing.png"), "There is no file nothing.png"),
        (("restore", LARGER, "photo.png", "./photo.png"), "Two images would become one file, .*photo.png"),
        (("restore", LARGER, "photo.png", "--mask", "mask.png"), "--mask goes with a run that fills in"),
        (("restore", FILLED, "digit.png"), "say with --mask"),
        (("restore", FILLED, "photo.png", "--mask", "mask.png", "--out", "new"), "not of the size of photo.png"),
        (("restore", LARGER, "photo.png", "--out", "digit.png"), "is a file"),
        (("sample", LARGER), "has no samples of its own"),
    ],
)
def test_what_makes_no_sense_is_refused(here, arguments, words):
    assert_refused(command(*arguments), words)


@pytest.mark.parametrize(
    ("experiment", "options", "words"),
    [
        (emoji_super_resolution, ("--network", "unet"), "cannot make images larger"),
        (emoji_super_resolution, ("--degradation", "denoising", "--noise-level", 0), "--noise-level must be above 0"),
        (emoji_super_resolution, ("--border", 11), "too small for SSIM"),
        (mnist_inpainting, ("--degradation", "colourisation"), "these are gray"),
        (photo_super_resolution, ("--data", "nowhere"), "no folder nowhere"),
        (photo_super_resolution, ("--image-size", 5000), "has 5000 x 5000 pixels"),
    ],
)
def test_options_that_do_not_fit_are_refused(here, experiment, options, words):
    assert_refused(train("--devices", 1, *options, experiment=experiment.EXPERIMENT), words)
