"""What an update of a GAN draws at random: latents, labels and the keys of its examples."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxgen.core.keys import example_keys, example_normal
from jaxgen.core.state import Batch, Key
from jaxgen.models.gan.heads import Head


class Draws(NamedTuple):
    """What one update of a network needs besides the images: everything here belongs to the examples."""

    latents: jax.Array
    """[B, L]."""
    labels: jax.Array | None
    """[B], None without classes."""
    real_keys: jax.Array | None
    """[B], of the augmentation of real images; None without one."""
    generated_keys: jax.Array | None
    """[B]."""
    penalty_key: Key | None
    index: jax.Array
    """[B], the examples' numbers in the batch."""


def draw_for_update(
    key: Key,
    batch: Batch,
    *,
    latent_size: int,
    num_classes: int | None = None,
    head: Head | None = None,
    penalty_key: Key | None = None,
    augment_key: Key | None = None,
) -> Draws:
    """The draws for a batch with `index` [B], and `label` [B] if generated images get the classes of the real ones.

    A head that trains on labels of its own (`draws_labels`) has them drawn here, uniformly.
    """
    index, labels, augment_keys = batch["index"], None, (None, None)
    if head is not None and head.draws_labels:
        key, label_key = jax.random.split(key)
        labels = jax.vmap(lambda k: jax.random.randint(k, (), 0, num_classes))(example_keys(label_key, index))
    elif num_classes is not None:
        labels = batch["label"]
    if augment_key is not None:
        augment_keys = tuple(example_keys(k, index) for k in jax.random.split(augment_key))
    return Draws(draw_latents(key, index, latent_size, head), labels, *augment_keys, penalty_key, index)


def draw_latents(key: Key, index: jax.Array, latent_size: int, head: Head | None = None) -> jax.Array:
    """Normal latents [B, latent_size] of the examples `index` [B]; the last ones in (-1, 1) if the head says so."""
    latents = example_normal(key, index, (latent_size,))
    if head is None or not head.uniform_latents:
        return latents
    normal, last = jnp.split(latents, [latent_size - head.uniform_latents], axis=-1)
    return jnp.concatenate([normal, 2.0 * jax.scipy.stats.norm.cdf(last) - 1.0], -1)
