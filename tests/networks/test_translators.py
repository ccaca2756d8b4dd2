"""Networks from images to images: against PyTorch with the same weights, and what they refuse."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import REFERENCES, subtree

from jaxgen.core.errors import UserError
from jaxgen.networks.super_resolution import SRDiscriminator, SRResNet
from jaxgen.networks.translators import PatchDiscriminator, ResNetTranslator, UNetTranslator

KEY = jax.random.key(0)
REFERENCE = np.load(REFERENCES / "translators.npz")  # make_translators.py
NETWORKS = {
    "unet": UNetTranslator(3, 4, 3),
    "resnet": ResNetTranslator(3, 4, halvings=2, blocks=2),
    "patch": PatchDiscriminator(4, 2),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_and_its_gradient_are_those_of_pytorch(name):
    params = subtree(REFERENCE, f"{name}/")
    image = jnp.asarray(REFERENCE["image"])
    expected = jax.eval_shape(lambda: NETWORKS[name].init(KEY, image, train=False))["params"]
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(lambda x: x.shape, expected)

    def squares(image):
        outputs = NETWORKS[name].apply({"params": params}, image, train=False)
        return jnp.sum(jnp.square(outputs)), outputs

    gradient, outputs = jax.jit(jax.grad(squares, has_aux=True))(image)
    reference = REFERENCE[f"{name}:outputs"]
    np.testing.assert_allclose(outputs.reshape(reference.shape), reference, rtol=1e-3, atol=2e-4)
    wanted = REFERENCE[f"{name}:gradient"]
    np.testing.assert_allclose(gradient, wanted, rtol=5e-3, atol=2e-3 * np.abs(wanted).max())


def test_a_residual_network_adds_to_the_images_and_begins_with_nothing():
    network, image = NETWORKS["resnet"].clone(residual=True), jnp.asarray(REFERENCE["image"])
    outputs, _ = jax.jit(lambda: network.init_with_output(KEY, image, train=False))()
    np.testing.assert_array_equal(outputs, jnp.clip(image, -1, 1))
    variables = {"params": subtree(REFERENCE, "resnet/")}
    both = network.clone(bounded=False), network
    free, clipped = jax.jit(lambda: [network.apply(variables, image, train=False) for network in both])()
    np.testing.assert_allclose(jnp.tanh(free - image), REFERENCE["resnet:outputs"], rtol=1e-3, atol=2e-4)
    assert np.abs(free).max() > 1
    np.testing.assert_array_equal(clipped, jnp.clip(free, -1, 1))


@pytest.mark.slow
@pytest.mark.parametrize("network", [UNetTranslator(1, 4, 2), ResNetTranslator(1, 4, 2, 1)])
def test_outputs_have_the_size_of_the_image_and_lie_in_its_range(network):
    images = jax.random.normal(KEY, (2, 12, 8, 3))
    outputs, _ = jax.jit(lambda: network.init_with_output(KEY, images, train=False))()
    chex.assert_shape(outputs, (2, 12, 8, 1))
    assert np.abs(outputs).max() < 1
    with pytest.raises(UserError, match="multiples of 4, not 10x8"):
        network.init(KEY, jnp.zeros((1, 10, 8, 3)), train=False)


@pytest.mark.slow
@pytest.mark.parametrize("factor", [1, 2, 4])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_srresnet_makes_images_so_many_times_as_large(factor, batch_norm):
    network = SRResNet(3, factor, 4, 2, batch_norm)
    outputs, variables = jax.jit(lambda: network.init_with_output(KEY, jnp.ones((2, 5, 6, 1)), train=False))()
    chex.assert_shape(outputs, (2, 5 * factor, 6 * factor, 3))
    assert ("batch_stats" in variables) == batch_norm
    assert np.abs(outputs).max() > 0
    zero = network.clone(zero_at_first=True)
    np.testing.assert_array_equal(zero.init_with_output(KEY, jnp.ones((1, 5, 6, 1)), train=False)[0], 0.0)


def test_srresnet_of_the_paper_has_its_parameters():
    """Figure 4: k9n64, 16 blocks of two k3n64 with norms, k3n64 with a norm, twice k3n256, k9n3; a slope per PReLU.

    Without the 33 biases of 64 that norms take away again.
    """
    conv = lambda kernel, before, after: kernel**2 * before * after + after  # noqa: E731
    blocks = 33 * (conv(3, 64, 64) - 64 + 2 * 64) + 16
    expected = conv(9, 3, 64) + 1 + blocks + 2 * (conv(3, 64, 256) + 1) + conv(9, 64, 3)
    network = SRResNet(3, factor=4, batch_norm=True)
    params = jax.eval_shape(lambda: network.init(KEY, jnp.zeros((1, 8, 8, 3)), train=False))["params"]
    assert sum(x.size for x in jax.tree.leaves(params)) == expected


def test_the_discriminator_of_srgan_gives_one_logit_an_image():
    network = SRDiscriminator(4, 2, 8)
    outputs, _ = jax.jit(lambda: network.init_with_output(KEY, jnp.ones((3, 8, 8, 2)), train=False))()
    chex.assert_shape(outputs, (3,))


def test_a_factor_that_is_no_power_of_two_is_refused():
    with pytest.raises(ValueError, match="power of two, not 3"):
        SRResNet(3, 3).init(KEY, jnp.zeros((1, 4, 4, 3)), train=False)
