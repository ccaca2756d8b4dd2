"""`jaxgen stylize`: a picture in the manner of another, by descent and by a run."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from command_lines import assert_refused, command, train
from PIL import Image
from skimage import data

from jaxgen.editing.style_transfer import stylize_image
from jaxgen.experiments import photo_style
from jaxgen.metrics.extractors import efficientnet_maps
from jaxgen.models.image_to_image.stylization import content_of, style_losses, style_of


@pytest.mark.slow
def test_a_picture_comes_to_have_the_style_and_keeps_its_content(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pictures = {"photo.png": data.astronaut()[:240, 70:390], "painting.png": data.immunohistochemistry()[:240, :320]}
    for name, picture in pictures.items():
        Image.fromarray(picture).resize((64, 48)).save(name)
    result = command("stylize", "photo.png", "painting.png", "--steps", 1, "--size", 40, "--out", "small.png")
    assert result[0] == 0, result
    assert Image.open("small.png").size == (40, 30)
    photo, painting = (
        jnp.asarray(np.asarray(Image.open(name), np.float32) / 127.5 - 1) for name in ("photo.png", "painting.png")
    )
    variables, of = efficientnet_maps()

    @jax.jit
    def losses_of(image):
        maps = [of(variables, picture[None]) for picture in (photo, painting)]
        return style_losses(image[None], of(variables, image[None]), content_of(maps[0]), style_of(maps[1]))

    said = []
    drawn, losses = stylize_image(photo, painting, steps=40, every=20, progress=lambda step, values: said.append(step))
    assert said == [20, 40]
    before, after, far = losses_of(photo), losses_of(drawn), losses_of(painting)
    np.testing.assert_allclose(np.ravel(after), losses, rtol=1e-2)
    assert float(after.style[0]) < 0.3 * float(before.style[0])
    assert float(after.content[0]) < 0.75 * float(far.content[0])
    assert np.abs(drawn).max() <= 1


@pytest.mark.slow
def test_a_run_learns_the_style_and_draws_pictures_of_any_size_even_when_the_style_is_gone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for name in (*(f"photos/{i}.png" for i in range(5)), "painting.png"):
        blocks = np.kron(rng.integers(0, 255, (5, 6, 3)), np.ones((8, 8, 1)))
        Image.fromarray(blocks.astype(np.uint8)).save(name)
    options = ("--preset", "quick", "--data", "./photos", "--image-size", 32, "--width", 4, "--devices", 1)
    assert_refused(train(*options, "--style", "no.png", experiment=photo_style.EXPERIMENT), "There is no file no.png")
    assert not (tmp_path / "runs").exists()
    result = train(*options, "--steps", 4, "--style", "painting.png", experiment=photo_style.EXPERIMENT)
    assert result[0] == 0, result
    assert "jaxgen stylize IMAGE runs/photo_style/001" in result[1]
    Image.open("painting.png").resize((35, 41)).save("odd.png")
    (tmp_path / "painting.png").unlink()
    for image, size in (("odd.png", (35, 41)), ("photos/0.png", (48, 40))):
        result = command("stylize", image, "runs/photo_style/001", "--overwrite", "--out", "drawn.png")
        assert result[0] == 0, result
        assert Image.open("drawn.png").size == size
    result = train("--resume", "runs/photo_style/001", "--steps", 6, experiment=photo_style.EXPERIMENT)
    assert result[0] == 0, result
    assert_refused(command("stylize", "odd.png", "photos"), "photos is not the folder of a run")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--size", 8), "--size must be at least 32, not 8"),
        (("--steps", 0), "--steps must be at least 1"),
        (("--out", "picture.jpg"), "must end in .png"),
        ((), "no file nothing.png"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path, monkeypatch, options, words):
    monkeypatch.chdir(tmp_path)
    assert_refused(command("stylize", "nothing.png", "nothing.png", *options), words)
