"""PSNR and SSIM against scikit-image, multi-scale SSIM against pytorch-msssim and TensorFlow."""

import functools
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
from references import make_restoration

from jaxgen.core.errors import UserError
from jaxgen.metrics.restoration import l1, ms_ssim, psnr, ssim

EXPECTED = json.loads(Path(make_restoration.__file__).with_name("restoration.json").read_text())
SSIM_CASES = make_restoration.ssim_cases()
MS_SSIM_CASES = make_restoration.ms_ssim_cases()


@functools.cache
def ms_ssim_of(case):
    images, targets, max_value = MS_SSIM_CASES[case]
    return ms_ssim(images, targets, max_value=max_value)


@pytest.mark.parametrize("case", SSIM_CASES)
def test_psnr_and_ssim_equal_scikit_images(case):
    images, targets, max_value = SSIM_CASES[case]
    np.testing.assert_allclose(psnr(images, targets, max_value=max_value), EXPECTED["psnr"][case], rtol=1e-6)
    np.testing.assert_allclose(ssim(images, targets, max_value=max_value), EXPECTED["ssim"][case], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("case", "reference"),
    [(case, name) for name in ("ms_ssim_pytorch_msssim", "ms_ssim_tensorflow") for case in EXPECTED[name]],
)
def test_ms_ssim_equals(case, reference):
    # TensorFlow's own values are float32 of 0..255
    tolerance = 1e-5 if reference == "ms_ssim_tensorflow" else 1e-6
    np.testing.assert_allclose(ms_ssim_of(case), EXPECTED[reference][case], rtol=0, atol=tolerance)


def test_l1_is_the_mean_absolute_difference_of_each_image():
    images, targets, _ = SSIM_CASES["rgb_bytes"]
    expected = np.abs(images.astype(int) - targets.astype(int)).mean((1, 2, 3))
    np.testing.assert_allclose(l1(images, targets), expected, rtol=1e-6)


def test_equal_images_have_no_error_and_similarity_one():
    _, targets, max_value = MS_SSIM_CASES["grey_bytes"]
    assert np.all(np.asarray(l1(targets, targets)) == 0.0)
    assert np.all(np.isposinf(psnr(targets, targets, max_value=max_value)))
    assert np.all(np.asarray(ssim(targets, targets, max_value=max_value)) == 1.0)
    assert np.all(np.asarray(ms_ssim(targets, targets, max_value=max_value)) == 1.0)


def test_ssim_of_bright_images_keeps_its_digits():
    # E[x^2] - E[x]^2 of values about 240 would be off by 1e-4 in float32.
    images, targets = 240.0 + 6.0 * np.random.default_rng(0).normal(size=(2, 32, 11, 11, 1)).astype(np.float32)
    with jax.enable_x64(True):
        exact = ssim(images.astype(np.float64), targets.astype(np.float64), max_value=255.0)
    assert exact.dtype == np.float64
    np.testing.assert_allclose(ssim(images, targets, max_value=255.0), exact, rtol=0, atol=1e-6)


def test_metrics_do_not_depend_on_the_units_of_the_values():
    images, targets, _ = SSIM_CASES["grey_bytes"]
    for metric in (psnr, ssim):
        scaled = metric(images / np.float32(255), targets / np.float32(255), max_value=1.0)
        np.testing.assert_allclose(scaled, metric(images, targets, max_value=255.0), rtol=1e-5)


def test_images_too_small_for_five_scales_name_the_least_size():
    images = np.zeros((1, 161, 160, 1), np.uint8)
    with pytest.raises(UserError, match="at least 161x161, not 161x160"):
        ms_ssim(images, images, max_value=255.0)


def test_images_smaller_than_the_window_are_reported():
    images = np.zeros((1, 10, 28, 1), np.uint8)
    with pytest.raises(UserError, match="at least 11x11, not 10x28"):
        ssim(images, images, max_value=255.0)


@pytest.mark.parametrize("shape", [(1, 28, 28, 1), (2, 28, 28, 3), (2, 28, 28)])
def test_other_shapes_than_the_targets_are_reported(shape):
    for metric in (l1, functools.partial(psnr, max_value=1.0), functools.partial(ssim, max_value=1.0)):
        with pytest.raises(UserError, match="cannot be compared"):
            metric(np.zeros(shape, np.float32), np.zeros((2, 28, 28, 1), np.float32))


def by_definition(images, targets, max_value):
    """(l1, psnr, ssim) of one image [H, W, 1] in float64, by scikit-image's definitions."""
    x, y = (array[..., 0].astype(np.float64) for array in (images, targets))
    blur = functools.partial(scipy.ndimage.gaussian_filter, sigma=1.5, truncate=3.5)
    c1, c2, m_x, m_y = (0.01 * max_value) ** 2, (0.03 * max_value) ** 2, blur(x), blur(y)
    v_x, v_y, c_xy = blur(x * x) - m_x**2, blur(y * y) - m_y**2, blur(x * y) - m_x * m_y
    similarity = (2 * m_x * m_y + c1) * (2 * c_xy + c2) / ((m_x**2 + m_y**2 + c1) * (v_x + v_y + c2))
    error = np.mean((x - y) ** 2)
    return np.abs(x - y).mean(), 10 * np.log10(max_value**2 / error), similarity[5:-5, 5:-5].mean()


INTEGERS = [np.uint8, np.uint16, np.int16, np.uint32, np.int32, np.int64, np.uint64]


@pytest.mark.parametrize("dtype", [*INTEGERS, np.float16, np.float32, np.float64], ids=lambda dtype: dtype.__name__)
def test_images_of_every_type_have_the_values_of_their_definitions(dtype):
    generator = np.random.default_rng(0)
    low, high = (np.iinfo(dtype).min, min(np.iinfo(dtype).max, 2**52)) if dtype in INTEGERS else (0, 1)
    images = generator.uniform(low, high, (2, 13, 12, 1)).astype(dtype)
    targets = np.clip(images + generator.normal(0.0, (high - low) / 50, images.shape), low, high).astype(dtype)
    max_value = high - low  # an int, as one writes 65535
    found = l1(images, targets), psnr(images, targets, max_value=max_value), ssim(images, targets, max_value=max_value)
    expected = np.transpose([by_definition(*pair, float(max_value)) for pair in zip(images, targets, strict=True)])
    exact = dtype not in (np.float16, np.float32)
    np.testing.assert_allclose(found, expected, rtol=1e-9 if exact else 1e-5)
    assert all(values.dtype == (np.float64 if exact else np.float32) for values in found)


def test_jaxs_integers_count_as_numpys():
    images, targets = np.random.default_rng(0).integers(0, 65536, (2, 1, 12, 12, 1), np.uint16)
    expected = psnr(images, targets, max_value=65535)
    assert psnr(jnp.asarray(images), jnp.asarray(targets), max_value=65535) == expected
    traced = jax.jit(functools.partial(psnr, max_value=65535))(images, targets)
    np.testing.assert_allclose(traced, expected, rtol=1e-6)
    bfloat16 = jnp.asarray(images / 65535, jnp.bfloat16)
    assert np.isposinf(psnr(bfloat16, np.asarray(bfloat16, np.float32), max_value=1.0))


@pytest.mark.parametrize(
    ("images", "max_value", "message"),
    [
        (np.full((1, 12, 12, 1), 300, np.uint16), 255, "integers from 0 to 300, a wider range than max_value 255"),
        (np.zeros((1, 12, 12, 1), complex), 1.0, "Images of type complex128"),
        (np.zeros((1, 12, 12, 1), "U3"), 1.0, "Images of type <U3"),
        (np.zeros((0, 12, 12, 1)), 1.0, "no pixels"),
        (np.zeros((1, 12, 12, 0)), 1.0, "no pixels"),
        (np.zeros((1, 12, 12, 1)), 0, "above 0, not 0"),
        (np.zeros((1, 12, 12, 1)), np.nan, "above 0, not nan"),
    ],
)
def test_images_and_ranges_that_mean_nothing_are_refused(images, max_value, message):
    targets = images if images.dtype.kind in "cU" else np.zeros_like(images)
    for metric in (psnr, ssim):
        with pytest.raises(UserError, match=message):
            metric(images, targets, max_value=max_value)
