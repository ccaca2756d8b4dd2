"""EfficientNet-Lite0 with the shipped weights against PyTorch's (tests/references/make_efficientnet.py)."""

from pathlib import Path

import chex
import flax.linen as nn
import jax
import numpy as np
import pytest
from helpers import REFERENCES

from jaxgen.metrics import weights
from jaxgen.metrics.resizing import resize_bilinear
from jaxgen.metrics.weight_files import load_variables
from jaxgen.networks.efficientnet import DepthwiseConv, EfficientNetLite0

REFERENCES = np.load(REFERENCES / "efficientnet.npz")
EGYPTIAN_CAT, ESPRESSO = 285, 967


@pytest.fixture(scope="module")
def outputs():
    """Features and logits of a cat, a cup of coffee and noise, from uint8 images on."""
    noise = np.random.default_rng(0).integers(0, 256, (1, 96, 96, 3)).astype(np.uint8)
    images = np.concatenate([REFERENCES["photographs"], noise])
    network = EfficientNetLite0()

    @jax.jit
    def run(variables, images):
        images = (resize_bilinear(images, 224, method="half_pixel") - 127) / 128
        return network.apply(variables, images, method="features"), network.apply(variables, images)

    return run(load_variables(Path(weights.__file__).parent / "efficientnet_lite0.safetensors"), images)


def test_features_equal_those_of_the_pytorch_model(outputs):
    chex.assert_shape(outputs[0], (3, 1280))
    np.testing.assert_allclose(outputs[0], REFERENCES["features"], rtol=0, atol=1e-4)  # they go up to 4.6


def test_logits_equal_those_of_the_pytorch_model(outputs):
    chex.assert_shape(outputs[1], (3, 1000))
    np.testing.assert_allclose(outputs[1], REFERENCES["logits"], rtol=0, atol=1e-4)  # they go up to 9.7


def test_photographs_of_a_cat_and_a_cup_of_espresso_are_recognized(outputs):
    assert outputs[1][:2].argmax(-1).tolist() == [EGYPTIAN_CAT, ESPRESSO]


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize(
    ("sizes", "kernel_size", "stride"), [((8, 7), 3, 1), ((8, 7), 3, 2), ((7, 8), 5, 1), ((7, 8), 5, 2), ((1, 2), 5, 2)]
)
def test_both_depthwise_forms_equal_flax(sizes, kernel_size, stride, fast):
    inputs = jax.random.normal(jax.random.key(0), (2, *sizes, 4))
    variables = {"params": {"kernel": jax.random.normal(jax.random.key(1), (kernel_size, kernel_size, 1, 4))}}
    flax_conv = nn.Conv(4, (kernel_size,) * 2, stride, feature_group_count=4, use_bias=False)
    outputs = jax.jit(DepthwiseConv(kernel_size, stride, fast=fast).apply)(variables, inputs)
    np.testing.assert_allclose(outputs, jax.jit(flax_conv.apply)(variables, inputs), rtol=1e-5, atol=1e-5)
