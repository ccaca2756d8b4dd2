"""The forward passes of a GAN's networks."""

from typing import NamedTuple

import jax

from jaxgen.core.state import TrainState
from jaxgen.core.types import ModelState, Params
from jaxgen.models.gan.spec import GAN
from jaxgen.models.gan.step_inputs import StepInputs
from jaxgen.models.variables import apply_network


class Outputs(NamedTuple):
    """A discriminator's outputs for images."""

    logits: jax.Array
    """[B]."""
    head: jax.Array | None
    """[B, N], or None without a head."""


def generator_args(latents: jax.Array, labels: jax.Array | None) -> tuple[jax.Array, ...]:
    """Return the arguments of a generator: latents [B, L], and labels [B] where there are classes."""
    return (latents,) if labels is None else (latents, labels)


def discriminator_args(gan: GAN, images: jax.Array, labels: jax.Array | None) -> tuple[jax.Array, ...]:
    """Return the arguments of a discriminator: images [B, H, W, C], and labels [B] unless a head reads them."""
    return (images,) if labels is None or gan.head is not None else (images, labels)


def apply_generator(gan: GAN, state: TrainState, params: Params, inputs: StepInputs) -> tuple[jax.Array, ModelState]:
    """Generate images [B, H, W, C] in training; return them and the generator's new model state."""
    args = generator_args(inputs.latents, inputs.labels)
    return apply_network(gan.generator, params, state.model_state["generator"], *args, train=True)


def apply_discriminator(
    gan: GAN, state: TrainState, params: Params, images: jax.Array, labels: jax.Array | None, *, train: bool = True
) -> tuple[Outputs, ModelState]:
    """Discriminate images [B, H, W, C]; return the outputs and the discriminator's new model state."""
    args, model_state = discriminator_args(gan, images, labels), state.model_state["discriminator"]
    outputs, model_state = apply_network(gan.discriminator, params, model_state, *args, train=train)
    return Outputs(outputs, None) if gan.head is None else Outputs(*outputs), model_state
