"""What the commands do with a tiny run of a diffusion model."""

import contextlib
import json

import numpy as np
import pytest
from command_lines import assert_refused, command, train
from PIL import Image

from jaxgen.data import embedded_sets
from jaxgen.experiments import mnist_diffusion

pytestmark = pytest.mark.slow
ONCE = ("--preset", "quick", "--steps", 2, "--batch-size", 20, "--devices", 1, "--steps-per-dispatch", 2)
ONCE += ("--network", "dit", "--width", 16, "--patch-size", 14, "--sampling-steps", 2, "--eval-every", 0)
RUN = "runs/mnist_diffusion/001"


@pytest.fixture(scope="module")
def folder(tmp_path_factory, mnist_is_unpacked_once):
    """A folder with a run of 2 steps, on 300 digits of each split."""
    whole, folder = embedded_sets.mnist_arrays(), tmp_path_factory.mktemp("diffusion")
    few = type(whole)(*(values[:300] for values in whole))
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(folder):
        patch.setattr(embedded_sets, "mnist_arrays", lambda: few)
        result = train(*ONCE, experiment=mnist_diffusion.EXPERIMENT)
        assert result[0] == 0, result
        assert f"jaxgen latent {RUN} reconstruct" in result[1]
        yield folder


@pytest.fixture
def here(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return folder


def drawn(name, *options):
    result = command("sample", RUN, "--num", 3, "--overwrite", "--out", name, *options)
    assert result[0] == 0, result
    return np.load(name)["samples"]


def test_samples_are_drawn_as_the_options_say(here):
    usual = drawn("a.npz")
    assert usual.shape == (3, 28, 28, 1)
    np.testing.assert_array_equal(
        usual, drawn("b.npz", "--sampler", "ancestral", "--sampling-steps", 2, "--guidance", 1)
    )
    for options in (("--sampler", "heun"), ("--sampling-steps", 3)):
        assert np.abs(drawn("c.npz", *options) - usual).max() > 1e-3, options


def test_inpainting_keeps_what_is_not_hidden(here):
    result = command("inpaint", RUN, "--examples", 5, 6, "--draws", 3, "--hide", "left", "--sampling-steps", 2)
    assert result[0] == 0, result
    assert "2 images, left hidden, each drawn 3 times: inpainted.png" in result[1]
    picture = np.asarray(Image.open("inpainted.png").convert("L"), np.int32)
    height, width = picture.shape
    assert width > height * 2  # 5 tiles of 2 images in a row
    command("inpaint", RUN, "--examples", 5, "--draws", 1, "--hide", "bottom", "--out", "again.png")
    assert Image.open("again.png").size != Image.open("inpainted.png").size


def test_evaluation_remembers_how_samples_were_drawn_and_says_bits(here):
    how = ("--sampler", "ddim", "--sampling-steps", 2)
    result = command(
        "evaluate", RUN, "--metrics", "kid,log_likelihood", "--num-samples", 12, "--importance-samples", 1, *how
    )
    assert result[0] == 0, result
    (record,) = json.loads((here / RUN / "evaluation.json").read_text())["evaluations"]
    assert record["sampling"] == {"sampler": "ddim", "sampling_steps": 2}
    nats, bits = (record["values"][f"log_likelihood/{name}"] for name in ("nats", "bits_per_dimension"))
    assert bits == pytest.approx((-nats / 784 - np.log(2 / 255)) / np.log(2), rel=1e-5)


def test_latents_are_walked_between(here):
    for arguments in (("latent", RUN, "reconstruct"), ("interpolate", RUN)):
        result = command(*arguments, "--rows", 2, "--steps", 3, "--overwrite", "--out", "walk.png")
        assert result[0] == 0, result


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("sample", RUN, "--sampler", "magic"), "--sampler must be one of ancestral, .*, not 'magic'"),
        (("sample", RUN, "--sampling-steps", 0), "--sampling-steps must be at least 1, not 0"),
        (
            ("inpaint", RUN, "--examples", 300, "--overwrite"),
            "--examples has 300, but the held-out images are 0 to 299",
        ),
        (("inpaint", RUN, "--draws", 0), "at least 1"),
        (("evaluate", "--real", "mnist", "--generated", "mnist", "--guidance", 2), "go with a run"),
    ],
)
def test_what_makes_no_sense_is_refused(here, arguments, words):
    assert_refused(command(*arguments), words)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--head-width", 24), "--head-width 24 must divide --width 32"),
        (("--patch-size", 3), "multiples of 6, not 28x28"),
        (("--level-deviation", -1), "--level-deviation must be between 0 and 20"),
        (("--condition-dropout", 1), "--condition-dropout must be at least 0 and below 1"),
        (("--factors", 0), "--factors must each be at least 1"),
    ],
)
def test_networks_that_cannot_be_are_refused(here, options, words):
    assert_refused(train("--devices", 1, *options, experiment=mnist_diffusion.EXPERIMENT), words)
    assert len(list((here / "runs" / "mnist_diffusion").iterdir())) == 1


def test_guidance_of_a_model_of_other_things_is_refused(tiny, monkeypatch):
    monkeypatch.chdir(tiny)
    assert_refused(command("sample", "runs/tiny_experiment/001", "--guidance", 2), "is for diffusion models")
    assert_refused(command("inpaint", "runs/tiny_experiment/001"), "no diffusion")
