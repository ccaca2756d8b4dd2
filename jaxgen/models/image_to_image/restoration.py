"""Restoration: images from what a degradation leaves of them."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgen.core.keys import example_keys
from jaxgen.core.model import GenerativeModel
from jaxgen.core.state import Batch, Key
from jaxgen.models.image_to_image.degradations import Degradation
from jaxgen.models.image_to_image.principle import Pair, image_to_image


def restoration(network: nn.Module, *, degradation: Degradation, turn: bool = False, **options: Any) -> GenerativeModel:
    """`image_to_image` from what a degradation leaves of `image` to the image itself.

    Args:
      turn: whether images are mirrored and turned by chance in training, each of the 8 ways as often.

    `functions` also has `degrade(key, images) -> given`, and `take(images, known [B, H, W, 1]) -> given`, of images
    that came degraded.
    """

    def pair_of(batch: Batch, key: Key, *, train: bool) -> Pair:
        turn_key, degradation_key = jax.random.split(key)
        images = batch["image"].astype(float)  # float64 where it is enabled: sums over pixels depend on their order
        if turn and train:
            images = turned(example_keys(turn_key, batch["index"]), images)
        return Pair(degradation.degrade(example_keys(degradation_key, batch["index"]), images), images)

    def degrade(key: Key, images: jax.Array) -> jax.Array:
        keys = example_keys(key, jnp.arange(len(images), dtype=jnp.uint32))
        return degradation.degrade(keys, images).given

    model = image_to_image(network, pair_of=pair_of, of_given=degradation.of_given, **options)
    return model._replace(table={**model.functions, "degrade": degrade, "take": degradation.take})


def turned(keys: jax.Array, images: jax.Array) -> jax.Array:
    """Images [B, H, W, C], each mirrored or not along each axis and, of squares, along the diagonal, by its key [B]."""
    chances = jax.vmap(lambda key: jax.random.bernoulli(key, 0.5, (3,)))(keys)[:, :, None, None, None]
    images = jnp.where(chances[:, 0], images[:, ::-1], images)
    images = jnp.where(chances[:, 1], images[:, :, ::-1], images)
    if images.shape[1] == images.shape[2]:
        images = jnp.where(chances[:, 2], images.transpose(0, 2, 1, 3), images)
    return images
