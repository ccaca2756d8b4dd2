"""The benchmark's entries in jaxgen: its networks, its models and the dispatch of its training loop."""

from collections.abc import Callable

import flax.linen as nn
import jax
import optax
from common import (
    BATCH,
    BETA1,
    BETA2,
    DCGAN_DISCRIMINATOR,
    DCGAN_GENERATOR,
    EPSILON,
    LATENT_SIZE,
    LEARNING_RATE,
    MLP_DISCRIMINATOR,
    MLP_GENERATOR,
    images,
)

from jaxgen.data.dataset import Dataset, example_batch
from jaxgen.models.gan import gan
from jaxgen.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from jaxgen.networks.mlp import MLPDiscriminator, MLPGenerator
from jaxgen.training.dispatch import build_dispatch
from jaxgen.training.parallel import device_mesh, replicate
from jaxgen.training.state import GenerativeModel


def mlp_gan() -> Callable[[int], None]:
    return image_gan(MLPGenerator(widths=MLP_GENERATOR), MLPDiscriminator(widths=MLP_DISCRIMINATOR))


def dcgan() -> Callable[[int], None]:
    return image_gan(DCGANGenerator(widths=DCGAN_GENERATOR), DCGANDiscriminator(widths=DCGAN_DISCRIMINATOR))


def image_gan(generator: nn.Module, discriminator: nn.Module) -> Callable[[int], None]:
    """Both networks updated at the same point, with one forward pass through D(G(z)) for both losses."""
    model = gan(
        generator,
        discriminator,
        latent_size=LATENT_SIZE,
        generator_optimiser=optax.adam(LEARNING_RATE, BETA1, BETA2, EPSILON),
        discriminator_optimiser=optax.adam(LEARNING_RATE, BETA1, BETA2, EPSILON),
        ema_decay=None,
        independent_examples=True,
    )
    return train(model, Dataset("random images", {"image": images()}))


def train(model: GenerativeModel, data: Dataset) -> Callable[[int], None]:
    """Runs steps of any model as the training loop does: many in one call."""
    mesh = device_mesh()
    state = replicate(mesh, jax.jit(model.init)(jax.random.key(0), example_batch(data, BATCH)))
    dispatch = build_dispatch(
        model,
        data,
        mesh,
        batch_size=BATCH,
        max_steps=1,  # of a stream; resident data has no limit
        seed=0,
        start_step=0,
    )

    def run(steps: int) -> None:
        nonlocal state
        state, result = dispatch(state, steps)
        assert bool(result.finite)

    return run


BUILDERS = {"mlp_gan": mlp_gan, "dcgan": dcgan}
