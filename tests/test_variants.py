"""Steps and networks give the same with jit, without it, and under pmap, where the reductions have an axis."""

import functools

import chex
import jax
import jax.numpy as jnp
import optax
import pytest
from absl.testing import parameterized
from tiny import tiny_images, tiny_text

from jaxgen.core.reductions import AXIS
from jaxgen.data import example_batch
from jaxgen.models import GAN, VAE, Diffusion, SequenceModel
from jaxgen.models.diffusion import edm, lognormal
from jaxgen.models.likelihoods import bernoulli
from jaxgen.models.vae import gaussian_posterior
from jaxgen.networks import (
    GPT,
    DCGANDiscriminator,
    DiT,
    GatedPixelCNN,
    MLPDiscriminator,
    MLPEncoder,
    MLPGenerator,
    RecurrentNetwork,
)

DEVICES = 2
SGD = optax.sgd(0.1)  # few operations: without jit each is a program of its own
TO_IMAGES = MLPGenerator((8, 8, 1), (4,))
SPECS = {
    "gan": GAN(TO_IMAGES, MLPDiscriminator((4,)), latent_size=3, generator_optimizer=SGD, discriminator_optimizer=SGD),
    "vae": VAE(MLPEncoder(6, (4,)), TO_IMAGES, posterior=gaussian_posterior(3), likelihood=bernoulli(), optimizer=SGD),
    "diffusion": Diffusion(
        DiT(1, width=4, patch_size=4, layers=1, heads=2),
        image_shape=(8, 8, 1),
        preconditioning=edm(),
        noise_levels=lognormal(),
        optimizer=SGD,
    ),
    "gpt": SequenceModel(GPT(5, 6, layers=1, heads=2, width=4), optimizer=SGD),
}
NETWORKS = {
    "dcgan": (DCGANDiscriminator(widths=(4, 8)), jnp.linspace(-1.0, 1.0, 128).reshape(2, 8, 8, 1)),
    "pixel_cnn": (GatedPixelCNN(3, width=4, layers=1, hidden_width=4), jnp.arange(32).reshape(2, 4, 4) % 3),
    "lstm": (RecurrentNetwork(5, width=4), jnp.arange(12).reshape(2, 6) % 5),
}
"""Networks, and inputs of theirs."""
each_way = chex.variants(with_jit=True, without_jit=True, with_pmap=True)


@functools.cache
def compiled_step(name):
    """(state, batch, key) of a step, and what it gives under jit."""
    model, data = SPECS[name].model(), tiny_text() if name == "gpt" else tiny_images()
    batch = example_batch(data, 4)
    inputs = jax.jit(model.init)(jax.random.key(3), batch), batch, jax.random.key(5)
    return inputs, jax.jit(model.train_step)(*inputs)


@functools.cache
def eager_outputs(name):
    """A network's variables, and its outputs without jit."""
    network, inputs = NETWORKS[name]
    variables = network.init(jax.random.key(0), inputs, train=False)
    return variables, network.apply(variables, inputs, train=False)


class Variants(chex.TestCase):
    def variant_of(self, function):
        return self.variant(function, axis_name=AXIS, n_devices=DEVICES)

    def check_step(self, name):
        (state, batch, key), expected = compiled_step(name)
        found = self.variant_of(SPECS[name].model().train_step)(state, batch, key)
        chex.assert_trees_all_equal_shapes_and_dtypes(found, expected)
        (after, metrics), (expected_after, expected_metrics) = found, expected
        chex.assert_tree_all_finite(metrics)
        chex.assert_trees_all_close(after.params, expected_after.params, rtol=1e-4, atol=1e-6)
        chex.assert_trees_all_close(metrics, expected_metrics, rtol=1e-4, atol=1e-6)
        assert after.step == state.step + 1


class VariantsTest(Variants):
    @each_way
    @parameterized.named_parameters((name, name) for name in ("gan", "vae"))
    def test_a_step_is_the_same_however_it_runs(self, name):
        self.check_step(name)

    @each_way
    @parameterized.named_parameters((name, name) for name in NETWORKS)
    def test_a_network_is_the_same_however_it_runs(self, name):
        variables, expected = eager_outputs(name)
        network, inputs = NETWORKS[name]
        found = self.variant_of(functools.partial(network.apply, train=False))(variables, inputs)
        chex.assert_trees_all_equal_shapes_and_dtypes(found, expected)
        chex.assert_trees_all_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
class LongVariantsTest(Variants):
    @each_way
    @parameterized.named_parameters((name, name) for name in ("diffusion", "gpt"))
    def test_a_step_of_many_operations_is_the_same_however_it_runs(self, name):
        self.check_step(name)
