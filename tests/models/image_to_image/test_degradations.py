"""What is taken from images: against Pillow and SciPy, and by what is left."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
from PIL import Image

from jaxgen.models.image_to_image.degradations import (
    colorization,
    deblurring,
    denoising,
    in_levels,
    inpainting,
    luma,
    super_resolution,
)

KEYS = jax.random.split(jax.random.key(0), 200)
BYTES = np.random.default_rng(0).integers(0, 256, (200, 12, 16, 3), np.uint8)
IMAGES = jnp.asarray(BYTES / 127.5 - 1, jnp.float32)


@pytest.mark.parametrize("factor", [2, 4])
def test_images_are_made_smaller_and_larger_as_pillow_does(factor):
    left = super_resolution(factor).degrade(KEYS[:3], IMAGES[:3])
    small = np.stack([shrunk(image, 1 / factor) for image in BYTES[:3]])
    # Pillow rounds to 8 bits after each axis.
    np.testing.assert_allclose((left.given + 1) * 127.5, small, atol=1.01)
    np.testing.assert_array_equal(left.given, in_levels(left.given))
    large = np.stack([shrunk(image, factor) for image in small])
    np.testing.assert_allclose((left.baseline + 1) * 127.5, large, atol=4.0)
    assert np.abs((left.baseline + 1) * 127.5 - large).mean() < 0.6


def shrunk(image, scale):
    height, width = image.shape[:2]
    size = round(width * scale), round(height * scale)
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))


def test_noise_has_its_deviation_and_belongs_to_the_example():
    left = denoising(25.0).degrade(KEYS, IMAGES)
    assert np.std(left.given - IMAGES) * 127.5 == pytest.approx(25, rel=0.02)
    assert np.abs(left.baseline).max() <= 1
    np.testing.assert_allclose(denoising(25.0).degrade(KEYS[5:7], IMAGES[5:7]).given, left.given[5:7], atol=1e-6)


@pytest.mark.parametrize("deviation", [0.5, 1.6, 3.0])
def test_a_blur_is_that_of_scipy(deviation):
    left = deblurring(deviation).degrade(KEYS[:2], IMAGES[:2])
    radius = int(np.ceil(4 * deviation))
    sigmas = (0, deviation, deviation, 0)
    expected = scipy.ndimage.gaussian_filter(np.asarray(IMAGES[:2]), sigmas, mode="reflect", radius=radius)
    np.testing.assert_allclose((left.given + 1) * 127.5, (expected + 1) * 127.5, atol=0.5 + 1e-3)
    np.testing.assert_array_equal(left.given, in_levels(left.given))


@pytest.mark.parametrize(("hidden", "least", "most"), [("box", 0.09, 0.36), ("pixels", 0.6, 0.9)])
def test_what_is_hidden_is_the_mean_of_the_rest_and_what_is_known_is_kept(hidden, least, most):
    large = jnp.tile(IMAGES, (1, 4, 4, 1))
    left = inpainting(hidden).degrade(KEYS, large)
    known = np.asarray(left.known)
    shares = 1 - known.mean((1, 2, 3))
    assert least - 0.02 < shares.min() < shares.max() < most + 0.02
    assert len(np.unique(shares)) > 20  # not the same of every example
    np.testing.assert_array_equal(left.given[..., -1:], left.known)
    np.testing.assert_array_equal(np.where(known, left.baseline, 0), np.where(known, large, 0))
    first = known[0, ..., 0] > 0
    mean = np.mean(large[0][first], 0)
    np.testing.assert_allclose(left.baseline[0][~first], np.broadcast_to(mean, (np.sum(~first), 3)), atol=1e-4)
    if hidden == "box":
        rows, columns = np.nonzero(~first)
        assert len(rows) == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)


def test_what_comes_with_a_mask_is_given_as_in_training():
    degradation = inpainting()
    left = degradation.degrade(KEYS[:4], IMAGES[:4])
    again = degradation.of_given(degradation.take(IMAGES[:4], left.known))
    np.testing.assert_allclose(again.given, left.given, atol=1e-6)


def test_colors_are_taken_as_in_pillow():
    left = colorization().degrade(KEYS[:3], IMAGES[:3])
    gray = np.stack([np.asarray(Image.fromarray(image).convert("L")) for image in BYTES[:3]])
    np.testing.assert_allclose((left.given[..., 0] + 1) * 127.5, gray, atol=1.0)
    np.testing.assert_allclose(left.baseline, jnp.repeat(left.given, 3, -1))
    np.testing.assert_array_equal(luma(left.given), left.given)
