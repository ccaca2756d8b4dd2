"""Latents and likelihoods of a diffusion model, along its probability flow."""

import jax
import jax.numpy as jnp

from jaxgen.core.keys import example_keys
from jaxgen.core.state import TrainState
from jaxgen.core.types import Batch, Key
from jaxgen.metrics import likelihood
from jaxgen.models.diffusion.denoising import denoiser
from jaxgen.models.diffusion.probability_flow import log_density
from jaxgen.models.diffusion.samplers import heun
from jaxgen.models.diffusion.spec import Diffusion
from jaxgen.models.likelihoods import HALF_BIN

WIDEST_RANGE = 0.002, 80.0
"""The noise levels between which likelihoods are computed."""


def decode(diffusion: Diffusion, state: TrainState, latents: jax.Array, *given: jax.Array) -> jax.Array:
    """Decode latents [N, H W C] to images [N, H, W, C], for the conditions `given` [N, ...] if there are any."""
    sigmas = jnp.asarray(diffusion.noise_levels.sigmas(diffusion.sampling_steps))
    start = sigmas[0] * latents.reshape(-1, *diffusion.image_shape)
    return jnp.clip(heun(denoiser(diffusion, state, given), start, sigmas), -1.0, 1.0)


def encode(diffusion: Diffusion, state: TrainState, images: jax.Array, *given: jax.Array) -> jax.Array:
    """Encode images [N, H, W, C] to the latents [N, H W C] that they are decoded from."""
    sigmas = jnp.asarray(diffusion.noise_levels.sigmas(diffusion.sampling_steps)[-2::-1])  # from the last one above 0
    return heun(denoiser(diffusion, state, given), images, sigmas).reshape(len(images), -1) / sigmas[-1]


def reconstruct(diffusion: Diffusion, state: TrainState, images: jax.Array, *given: jax.Array) -> jax.Array:
    """Encode and decode images [N, H, W, C]."""
    return decode(diffusion, state, encode(diffusion, state, images, *given), *given)


def log_likelihood(diffusion: Diffusion, state: TrainState, key: Key, batch: Batch, num_samples: int) -> jax.Array:
    """Return log p(x) [B] of the batch's images, in a conditional model log p(x | condition), in nats.

    Images of 256 levels are made continuous by uniform noise, which gives a lower bound of the log-probability of the
    levels. The trace is estimated with `num_samples` directions.
    """
    noise_key, trace_key = jax.random.split(key)
    keys = example_keys(noise_key, batch["index"])
    shape = diffusion.image_shape
    noise = jax.vmap(lambda key: jax.random.uniform(key, shape, minval=-HALF_BIN, maxval=HALF_BIN))(keys)
    given = () if diffusion.condition is None else (batch[diffusion.condition.entry],)
    trace_keys = example_keys(trace_key, batch["index"])
    images = batch["image"] + noise
    return log_density(
        denoiser(diffusion, state, given), images, *WIDEST_RANGE, keys=trace_keys, directions=num_samples
    )


def bits_per_dimension(diffusion: Diffusion, nats: jax.Array) -> jax.Array:
    """Convert a `log_likelihood` of images of 256 levels from nats to bits per dimension."""
    return likelihood.bits_per_dimension(-nats, diffusion.dimensions, bin_width=2.0 * HALF_BIN)
