"""What the options of GAN experiments become."""

import jax
import numpy as np
import pytest
from tiny import tiny_images

from jaxgen.core.errors import UserError
from jaxgen.data import example_batch
from jaxgen.experiments._gan import GANConfig, build_gan
from jaxgen.networks.mlp import MLPDiscriminator, MLPGenerator

BATCH = example_batch(tiny_images(), 6)


def build(**options):
    config = GANConfig().replace(latent_size=3, **options)
    networks = MLPGenerator((8, 8, 1), widths=(4,)), MLPDiscriminator(widths=(4,))
    return build_gan(config, *networks, independent_examples=True)


@pytest.mark.parametrize("discriminator_steps", [None, 3])
def test_both_rates_end_at_the_same_step(discriminator_steps):
    model = build(steps=12, decay_steps=6, discriminator_steps=discriminator_steps, beta1=0.0)
    step, state, changes = jax.jit(model.train_step), model.init(jax.random.key(0), BATCH), []
    for i in range(9):
        after, _ = step(state, BATCH, jax.random.key(i))
        moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), after.params, state.params)
        changes.append({name: max(jax.tree.leaves(of)) for name, of in moved.items()})
        state = after
    trains = [i for i in range(9) if discriminator_steps is None or (i + 1) % discriminator_steps == 0]
    for i, change in enumerate(changes):
        assert (change["discriminator"] > 1e-9) == (i < 6), i  # 1 - 6/6 may be rounded
        assert (change["generator"] > 1e-9) == (i < 6 and i in trains), i


def test_gradients_are_cut_and_the_two_rates_are_each_network_s_own():
    sizes = {}
    for rate in (1e-3, 2e-3):
        model = build(generator_learning_rate=rate, discriminator_learning_rate=1e-3, clip_norm=1e-12)
        state = model.init(jax.random.key(0), BATCH)
        after, _ = jax.jit(model.train_step)(state, BATCH, jax.random.key(1))
        for name, params in after.params.items():
            change = jax.tree.map(lambda a, b: np.abs(a - b).max(), params, state.params[name])
            sizes[rate, name] = max(jax.tree.leaves(change))
    # Adam with gradients far below its epsilon of 1e-8: steps of rate * gradient / epsilon, in place of the rate itself
    assert all(0 < size < 2e-7 for size in sizes.values())
    assert sizes[2e-3, "generator"] == pytest.approx(2 * sizes[1e-3, "generator"], rel=0.05)
    assert sizes[2e-3, "discriminator"] == pytest.approx(sizes[1e-3, "discriminator"], rel=0.05)


@pytest.mark.parametrize("loss", ["wasserstein", "relativistic_average"])
def test_signs_of_logits_that_mean_nothing_adapt_nothing(loss):
    with pytest.raises(UserError, match="Adaptive augmentation relies on the signs"):
        build(loss=loss, augmentation="ada")
    build(loss=loss, augmentation="translation")
