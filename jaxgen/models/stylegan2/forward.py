"""The forward passes of a StyleGAN2's networks, and what their updates draw at random."""

from collections.abc import Sequence
from typing import cast

import jax
import jax.numpy as jnp

from jaxgen.core.keys import example_keys, example_normal
from jaxgen.core.types import Batch, Key, Params
from jaxgen.models.stylegan2.parts import mix_styles
from jaxgen.models.stylegan2.spec import StyleGAN2
from jaxgen.models.variables import apply_network
from jaxgen.networks.stylegan2 import draw_noise


def apply_mapping(gan: StyleGAN2, params: Params, latents: jax.Array, labels: Sequence[jax.Array]) -> jax.Array:
    """Map latents [B, L] to styles [B, S]."""
    return cast(jax.Array, gan.generator.apply({"params": params}, latents, *labels, method="map"))


def apply_synthesis(gan: StyleGAN2, params: Params, styles: jax.Array, noise: Sequence[jax.Array]) -> jax.Array:
    """Synthesize images [B, H, W, C] from styles [B, N, S] and noise images."""
    return cast(jax.Array, gan.generator.apply({"params": params}, styles, noise, method="synthesize"))


def apply_discriminator(
    gan: StyleGAN2, params: Params, images: jax.Array, labels: Sequence[jax.Array], *, train: bool = True
) -> jax.Array:
    """Return the logits [B] of images [B, H, W, C]."""
    return apply_network(gan.discriminator, params, {}, images, *labels, train=train)[0]


def draw_styles(gan: StyleGAN2, params: Params, key: Key, index: jax.Array, labels: Sequence[jax.Array]) -> jax.Array:
    """Draw styles [B, N, S] of the examples `index` [B], some mixed; the first layer's is that of the first latents."""
    latents_key, mixing_key = jax.random.split(key)
    latents = example_normal(latents_key, index, (2, gan.latent_size))
    twice = [jnp.repeat(label, 2) for label in labels]
    both = apply_mapping(gan, params, latents.reshape(-1, gan.latent_size), twice).reshape(len(index), 2, -1)
    return mix_styles(both, example_keys(mixing_key, index), gan.num_styles, gan.mixing_prob)


def noise_images(gan: StyleGAN2, key: Key, index: jax.Array) -> list[jax.Array]:
    """Draw the noise images of the examples `index` [B]."""
    return draw_noise(example_keys(key, index), gan.image_shape)


def labels_of(gan: StyleGAN2, batch: Batch, every: int = 1) -> tuple[jax.Array, ...]:
    """Return the labels of every n-th example of a batch, or nothing without classes."""
    return () if gan.num_classes is None else (batch["label"][::every],)
