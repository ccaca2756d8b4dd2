"""How training images of the classifier are turned and scaled."""

import jax
import jax.numpy as jnp
import numpy as np
import scipy.ndimage

from jaxgen.data import load
from jaxgen.models.classifier import random_turn
from jaxgen.training.parallel import example_keys

IMAGES = load("mnist").test["image"][:6].astype(np.float32)
KEYS = example_keys(jax.random.key(0), jnp.arange(6, dtype=jnp.uint32))


def test_a_turn_is_that_of_scipy():
    degrees, scale = 20.0, 0.2
    turned = np.asarray(random_turn(IMAGES, KEYS, degrees=degrees, scale=scale))
    for i, (image, actual) in enumerate(zip(IMAGES, turned, strict=True)):
        angle, factor = np.asarray(jax.random.uniform(KEYS[i], (2,), minval=-1.0)) * [np.deg2rad(degrees), scale]
        # scipy's matrix takes a place in the output to the place in the input that is seen there
        matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / (1 + factor)
        offset = 13.5 - matrix @ [13.5, 13.5]
        expected = scipy.ndimage.affine_transform(image[..., 0], matrix, offset, order=1, mode="nearest")
        np.testing.assert_allclose(actual[..., 0], expected, atol=0.02)
    assert len({image.tobytes() for image in turned}) == 6
    assert np.abs(turned - IMAGES).max() > 100


def test_no_turn_leaves_the_images_as_they_are():
    np.testing.assert_allclose(random_turn(IMAGES, KEYS, degrees=0.0, scale=0.0), IMAGES, atol=1e-3)


def test_each_image_is_turned_by_its_own_key():
    alone = random_turn(IMAGES[2:3], KEYS[2:3], degrees=15.0, scale=0.1)
    together = random_turn(IMAGES, KEYS, degrees=15.0, scale=0.1)
    np.testing.assert_allclose(alone[0], together[2], atol=1e-3)
