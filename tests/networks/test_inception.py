"""The FID Inception against torch-fidelity's with the same random weights (tests/references/make_inception.py)."""

import json

import jax
import numpy as np
import pytest
from helpers import REFERENCES
from references.random_network import random_images, random_state
from references.torch_layout import fill_layout

from jaxgen.metrics.resizing import resize_bilinear
from jaxgen.metrics.weight_files import inception_variables
from jaxgen.networks.inception import InceptionV3

FOLDER = REFERENCES
REFERENCES = np.load(FOLDER / "inception.npz")


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """Features and logits of two images, from a file of PyTorch and uint8 images on."""
    path = tmp_path_factory.mktemp("inception") / "weights.pth"
    fill_layout(FOLDER / "inception_layout.pth", random_state(json.loads(str(REFERENCES["shapes"]))).values(), path)
    network = InceptionV3()

    @jax.jit
    def run(variables, images):
        images = (resize_bilinear(images, 299, method="tensorflow1") - 128) / 128
        return network.apply(variables, images, method="features"), network.apply(variables, images)

    variables = inception_variables(path)
    path.unlink()  # 95 MB
    return run(variables, random_images())


@pytest.mark.parametrize(("place", "name", "length"), [(0, "features", 2048), (1, "logits", 1008)])
def test_outputs_equal_those_of_torch_fidelity(outputs, place, name, length):
    reference = REFERENCES[name]
    assert outputs[place].shape == reference.shape == (2, length)
    # Random weights give all images much in common: the scale that matters is how far two of them are apart.
    scale = np.abs(reference[0] - reference[1]).max()
    np.testing.assert_allclose(outputs[place], reference, rtol=0, atol=1e-4 * scale)
