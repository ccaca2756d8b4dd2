"""The spec of a GAN: what it accepts, and the functions that take it."""

import dataclasses

import chex
import jax
import numpy as np
import optax
import pytest
from tiny import tiny_images

from jaxgen.data import example_batch
from jaxgen.models import GAN, gan
from jaxgen.networks.mlp import MLPDiscriminator, MLPGenerator

ADAM = optax.adam(1e-2)
SPEC = GAN(
    MLPGenerator((8, 8, 1), widths=(16,)),
    MLPDiscriminator(widths=(16,)),
    latent_size=3,
    generator_optimizer=ADAM,
    discriminator_optimizer=ADAM,
    penalties={"r2": 2.0, "r1": 1.0},
)


def test_equal_specs_are_one_static_argument():
    assert hash(SPEC) == hash(dataclasses.replace(SPEC))
    assert dataclasses.replace(SPEC) == SPEC
    assert dataclasses.replace(SPEC, penalties={"r1": 1.0, "r2": 2.0}) != SPEC  # their order splits the key


@pytest.mark.parametrize("options", [{"loss": "none"}, {"penalties": {"none": 1.0}}])
def test_unknown_losses_and_penalties_are_refused(options):
    with pytest.raises(KeyError, match="none"):
        dataclasses.replace(SPEC, **options)


def test_a_model_is_the_functions_of_its_spec():
    model, key, batch = SPEC.model(), jax.random.key(0), example_batch(tiny_images(), 4)
    state = jax.jit(gan.init, static_argnums=0)(SPEC, key, batch)
    after, _ = jax.jit(gan.train_step, static_argnums=0)(SPEC, state, batch, key)
    bound, _ = jax.jit(model.train_step)(state, batch, key)
    chex.assert_trees_all_equal(after.params, bound.params)
    images = gan.sample(SPEC, after, key, 2)
    np.testing.assert_array_equal(images, gan.decode(SPEC, after, gan.prior(SPEC, key, 2)))
    np.testing.assert_array_equal(images, model.sample(after, key, 2))
    chex.assert_shape(gan.discriminate(SPEC, after, images), (2,))
