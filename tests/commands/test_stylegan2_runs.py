"""`jaxgen styles`, `jaxgen project` and `jaxgen sample --truncation`, on a tiny run."""

import contextlib
import re

import numpy as np
import pytest
from command_lines import assert_refused, command, tiles, train
from PIL import Image

from jaxgen.experiments import mnist_stylegan2

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("small_mnist")]

ONCE = ("--preset", "quick", "--steps", 2, "--batch-size", 8, "--devices", 1, "--steps-per-dispatch", 2)
ONCE += ("--eval-metrics", "None", "--best-metric", "None", "--eval-every", 0, "--sample-every", 0)
ONCE += ("--channel-max", 8, "--latent-size", 8, "--mapping-layers", 1)
PLAIN, CLASSES = "runs/mnist_stylegan2/001", "runs/mnist_stylegan2/002"


@pytest.fixture(scope="module")
def runs(tmp_path_factory, small_mnist):
    """A folder with a run of 2 steps, and one with classes."""
    folder = tmp_path_factory.mktemp("style")
    with contextlib.chdir(folder):
        for options in ((), ("--conditional",)):
            result = train(*ONCE, *options, experiment=mnist_stylegan2.EXPERIMENT)
            assert result[0] == 0, result
    return folder


@pytest.fixture(autouse=True)
def there(runs, monkeypatch):
    monkeypatch.chdir(runs)


def test_the_mixing_grid_has_its_sources_at_its_borders():
    code, out, _ = command("styles", PLAIN, "mixing", "--rows", 1, "--columns", 3, "--seed", 1)
    assert code == 0
    assert "coarse (1), middle (1), fine (1)" in out
    shown = tiles("styles_mixing.png", 4, 4)
    assert (shown[0, 0] == 255).all()
    assert len(np.unique(shown.reshape(16, -1), axis=0)) == 16
    # all styles of the column: its images, whatever the row's
    again = command(
        "styles", CLASSES, "mixing", "--rows", 2, "--columns", 2, "--bands", "fine", "--label", 3, "--overwrite"
    )
    assert again[0] == 0
    tiles("styles_mixing.png", 3, 3)


def test_the_truncation_sweep_begins_with_one_image_for_all():
    code, _, _ = command("styles", PLAIN, "truncation", "--rows", 3, "--amounts", 0, 0.5, 1, "--out", "t.png")
    assert code == 0
    shown = tiles("t.png", 3, 3)
    np.testing.assert_array_equal(shown[0, 0], shown[2, 0])
    assert not np.array_equal(shown[0, 2], shown[2, 2])


def test_a_projected_image_is_written_with_its_styles():
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (40, 40), np.uint8)).save("noise.png")
    code, out, _ = command("project", PLAIN, "noise.png", "--steps", 30, "--space", "w+", "--noise", "--out", "p.png")
    assert code == 0
    assert re.search(r"at a distance by pixels of 0\.\d{4}: p\.png", out)
    shown = tiles("p.png", 1, 3)[0]
    assert not np.array_equal(shown[1], shown[2])
    with np.load("p.npz") as arrays:
        assert arrays["styles"].shape == (8, 8)
        assert arrays["image"].shape == (28, 28, 1)
        assert [arrays[f"noise_{i}"].shape[1] for i in range(7)] == [4, 8, 8, 16, 16, 32, 32]
        assert len(np.unique(arrays["styles"], axis=0)) == 8
        written = np.clip(np.round(127.5 * (arrays["image"][..., 0] + 1.0)), 0, 255)
        target, begun = (tile.astype(float) for tile in shown[:2])
        assert np.abs(written - shown[2]).max() <= 1
        assert np.mean((written - target) ** 2) < np.mean((begun - target) ** 2)


def test_samples_can_be_truncated_and_other_tools_work():
    for amount in (0, 1):
        assert command("sample", PLAIN, "--num", 6, "--truncation", amount, "--out", f"{amount}.npz")[0] == 0
    assert command("sample", PLAIN, "--num", 6, "--out", "plain.npz")[0] == 0
    with np.load("0.npz") as none, np.load("1.npz") as whole, np.load("plain.npz") as plain:
        np.testing.assert_array_equal(whole["samples"], plain["samples"])
        assert none["samples"].std(0).mean() < whole["samples"].std(0).mean()
    assert command("sample", CLASSES, "--label", 7, "--num", 4, "--truncation", 0.5, "--out", "seven.png")[0] == 0
    assert command("interpolate", PLAIN, "--rows", 2, "--steps", 3)[0] == 0
    tiles("interpolation.png", 2, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("styles", PLAIN, "mixing", "--columns", 0), "--columns must be at least 1, not 0"),
        (("styles", PLAIN, "truncation", "--label", 3), "has no classes"),
        (("styles", CLASSES, "truncation", "--label", 10), "no class"),
        (("styles", PLAIN, "truncation", "--out", "t.jpg"), "must end in .png"),
        (("project", PLAIN, "nothing.png"), "There is no file nothing.png"),
        (("project", PLAIN, "nothing.png", "--steps", 0), "--steps must be at least 1"),
        (
            ("sample", PLAIN, "--guidance", 2),
            "models of captions, and not for mnist_stylegan2",
        ),
    ],
)
def test_bad_input_is_refused(arguments, message):
    assert_refused(command(*arguments), message)
