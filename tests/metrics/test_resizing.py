"""Resizing against TensorFlow's and PyTorch's own; the stored values are from tests/references/make_resizing.py."""

import jax
import numpy as np
import pytest
from helpers import REFERENCES

from jaxgen.core.errors import UserError
from jaxgen.metrics.resizing import resize_bilinear

REFERENCES = np.load(REFERENCES / "resizing.npz")


@pytest.mark.parametrize("name", REFERENCES.files)
def test_resizing_agrees_with_the_library_it_is_named_after(name):
    method, case = name.split("/")
    shape, size = case.split("_to_")
    height, width = map(int, shape.split("x"))
    images = np.random.default_rng(0).integers(0, 256, (1, height, width, 3)).astype(np.float32)
    resized = jax.jit(lambda images: resize_bilinear(images, int(size), method=method))(images)
    # PyTorch and TensorFlow 2 differ by 1e-4 here, by the rounding of coordinates.
    np.testing.assert_allclose(resized, REFERENCES[name], rtol=0, atol=3e-4)


def test_the_two_methods_differ_by_far_more_than_rounding():
    images = np.random.default_rng(0).integers(0, 256, (1, 16, 16, 3))
    tensorflow1, half_pixel = (resize_bilinear(images, 37, method=name) for name in ("tensorflow1", "half_pixel"))
    assert np.abs(tensorflow1 - half_pixel).max() > 50


@pytest.mark.parametrize("method", ["tensorflow1", "half_pixel"])
def test_images_of_the_wanted_size_come_back_as_float32_unchanged(method):
    images = np.random.default_rng(0).integers(0, 256, (2, 9, 9, 3)).astype(np.uint8)
    resized = resize_bilinear(images, 9, method=method)
    assert resized.dtype == np.float32
    np.testing.assert_array_equal(resized, images)


def test_an_unknown_method_is_refused():
    with pytest.raises(UserError, match=r"no way of resizing 'bicubic': use tensorflow1 or half_pixel"):
        resize_bilinear(np.zeros((1, 4, 4, 3)), 8, method="bicubic")
