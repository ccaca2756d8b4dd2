"""PSNR and SSIM against scikit-image, multi-scale SSIM against pytorch-msssim and TensorFlow."""

import functools
import json
from pathlib import Path

import jax
import numpy as np
import pytest
from references import make_restoration

from jaxgen.errors import UserError
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
