"""Neural style transfer: Gram matrices by hand, losses that are 0 where they must be, and a picture that is drawn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from command_lines import assert_refused, command
from PIL import Image

from jaxgen.metrics.extractors import efficientnet_maps
from jaxgen.style_transfer import CONTENT_MAPS, STYLE_MAPS, gram_matrix, style_losses, stylise

KEY = jax.random.key(0)


def maps(image):
    """As many maps as EfficientNet has: the image, each time another one."""
    return [image * (1 + i) + i for i in range(8)]


def test_gram_matrices_are_mean_products_of_channels():
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    expected = [np.mean([np.outer(v, v) for v in image.reshape(12, 5)], 0) for image in x]
    np.testing.assert_allclose(gram_matrix(jnp.asarray(x)), expected, rtol=1e-5, atol=1e-6)


def test_an_image_has_its_own_content_and_the_style_of_its_pixels_in_any_order():
    image = jax.random.uniform(KEY, (1, 6, 6, 3))
    mixed = jax.random.permutation(jax.random.key(1), image.reshape(1, 36, 3), axis=1).reshape(image.shape)
    content = [maps(image)[i] for i in CONTENT_MAPS]
    style = [gram_matrix(maps(image)[i]) for i in STYLE_MAPS]
    same, shuffled = (style_losses(x, content, style, maps) for x in (image, mixed))
    assert float(same.content) == float(same.style) == 0.0
    assert float(shuffled.style) < 1e-10
    assert float(shuffled.content) > 1e-3
    flat = style_losses(jnp.full_like(image, 0.3), content, style, maps)
    assert float(flat.smoothness) == 0.0 < float(same.smoothness)
    doubled = [2 * x for x in content]  # relative: as far from twice its maps as 1 is from 2
    assert float(style_losses(image, doubled, style, maps).content) == pytest.approx(0.25, rel=1e-5)


@pytest.mark.slow
def test_a_picture_comes_to_have_the_style_and_keeps_its_content(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name, colour in (("photo.png", (200, 60, 60)), ("painting.png", (40, 90, 220))):
        blocks = np.kron(rng.integers(0, 60, (6, 8, 3)), np.ones((8, 8, 1))) + np.array(colour) - 30
        Image.fromarray(np.clip(blocks, 0, 255).astype(np.uint8)).save(name)
    result = command("stylize", "photo.png", "painting.png", "--steps", 1, "--size", 40, "--out", "small.png")
    assert result[0] == 0, result
    assert Image.open("small.png").size == (40, 30)
    photo, painting = (
        jnp.asarray(np.asarray(Image.open(name), np.float32) / 127.5 - 1) for name in ("photo.png", "painting.png")
    )
    variables, of = efficientnet_maps()

    def losses_of(image):
        maps = [of(variables, picture[None]) for picture in (photo, painting)]
        targets = [maps[0][i] for i in CONTENT_MAPS], [gram_matrix(maps[1][i]) for i in STYLE_MAPS]
        return style_losses(image[None], *targets, lambda x: of(variables, x))

    said = []
    drawn, losses = stylise(photo, painting, steps=40, every=20, progress=lambda step, values: said.append(step))
    assert said == [20, 40]
    before, after = losses_of(photo), losses_of(drawn)
    np.testing.assert_allclose(after, losses, rtol=1e-2)
    assert float(after.style) < 0.8 * float(before.style)  # 40 steps from very small pictures
    assert np.abs(drawn).max() <= 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--size", 8), "--size must be at least 32"),
        (("--steps", 0), "--steps must be at least 1"),
        (("--out", "picture.jpg"), "must end in .png"),
        ((), "nothing.png cannot be read"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path, monkeypatch, options, words):
    monkeypatch.chdir(tmp_path)
    assert_refused(command("stylize", "nothing.png", "nothing.png", *options), words)
