"""Restoration: images from what a degradation leaves of them."""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp

from jaxgen.core.keys import example_keys
from jaxgen.core.model import GenerativeModel
from jaxgen.core.state import TrainState
from jaxgen.core.types import Batch, Key
from jaxgen.models.image_to_image import principle
from jaxgen.models.image_to_image.degradations import Degradation, Degraded
from jaxgen.models.image_to_image.spec import ImageToImage, Pair


@dataclass(frozen=True, kw_only=True)
class Restoration(ImageToImage):
    """A model that restores a batch's `image` from what a degradation leaves of it.

    All else is as in `ImageToImage`.
    """

    degradation: Degradation
    turn: bool = False
    """Whether images are mirrored and turned at random in training, each of the 8 ways equally often."""

    def pair_of(self, batch: Batch, key: Key, *, train: bool) -> Pair:
        turn_key, degradation_key = jax.random.split(key)
        images = batch["image"].astype(float)  # float64 where it is enabled: sums over pixels depend on their order
        if self.turn and train:
            images = turned(example_keys(turn_key, batch["index"]), images)
        return Pair(self.degradation.degrade(example_keys(degradation_key, batch["index"]), images), images)

    def of_given(self, given: jax.Array) -> Degraded:
        return self.degradation.of_given(given)

    def model(self) -> GenerativeModel:
        return model(self)


def restore(restoration: Restoration, state: TrainState, given: jax.Array) -> jax.Array:
    """Restore images [B, H, W, C] in [-1, 1] from what is left of them [B, h, w, C']."""
    return principle.apply(restoration, state, given)


def degrade(restoration: Restoration, key: Key, images: jax.Array) -> jax.Array:
    """Degrade images [B, H, W, C] to what is left of them [B, h, w, C']."""
    keys = example_keys(key, jnp.arange(len(images), dtype=jnp.uint32))
    return restoration.degradation.degrade(keys, images).given


def model(restoration: Restoration) -> GenerativeModel:
    """Return the model of a spec."""
    take = restoration.degradation.take
    return principle.bind(restoration, "restore", degrade=partial(degrade, restoration), take=take)


def turned(keys: jax.Array, images: jax.Array) -> jax.Array:
    """Mirror images [B, H, W, C] at random along each axis and, if square, along the diagonal, each by its key [B]."""
    chances = jax.vmap(lambda key: jax.random.bernoulli(key, 0.5, (3,)))(keys)[:, :, None, None, None]
    images = jnp.where(chances[:, 0], images[:, ::-1], images)
    images = jnp.where(chances[:, 1], images[:, :, ::-1], images)
    if images.shape[1] == images.shape[2]:
        images = jnp.where(chances[:, 2], images.transpose(0, 2, 1, 3), images)
    return images
