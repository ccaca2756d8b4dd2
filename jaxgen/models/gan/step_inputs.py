"""The random inputs of an update of a GAN: latents, labels and the keys of its examples."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxgen.core.keys import example_keys, example_normal
from jaxgen.core.types import Batch, Key, present
from jaxgen.models.gan.spec import GAN


class StepInputs(NamedTuple):
    """The inputs of one update of a network besides the images; each belongs to an example."""

    latents: jax.Array
    """[B, L]."""
    labels: jax.Array | None
    """[B], None without classes."""
    real_keys: jax.Array | None
    """[B], keys of the augmentation of real images; None without augmentation."""
    generated_keys: jax.Array | None
    """[B], keys of the augmentation of generated images; None without augmentation."""
    penalty_key: Key | None
    """The key of the penalties; None without penalties."""
    index: jax.Array  # pyright: ignore[reportIncompatibleMethodOverride]  # hides tuple.index, which nobody asks of it
    """[B], the examples' numbers in the batch."""


def sample_step_inputs(
    gan: GAN, key: Key, batch: Batch, *, penalty_key: Key | None = None, augment_key: Key | None = None
) -> StepInputs:
    """Sample the inputs for a batch with `index` [B], and `label` [B] if generated images get the real ones' classes.

    Labels of a head that trains on codes of its own (`draws_labels`) are sampled here, uniformly.
    """
    index, labels, real_keys, generated_keys = batch["index"], None, None, None
    if gan.head is not None and gan.head.draws_labels:
        key, label_key = jax.random.split(key)
        labels = jax.vmap(lambda k: jax.random.randint(k, (), 0, present(gan.num_classes)))(
            example_keys(label_key, index)
        )
    elif gan.num_classes is not None:
        labels = batch["label"]
    if augment_key is not None:
        real_keys, generated_keys = (example_keys(k, index) for k in jax.random.split(augment_key))
    return StepInputs(sample_latents(gan, key, index), labels, real_keys, generated_keys, penalty_key, index)


def sample_latents(gan: GAN, key: Key, index: jax.Array) -> jax.Array:
    """Sample normal latents [B, L] of the examples `index` [B]; the last ones are in (-1, 1) if the head says so."""
    latents = example_normal(key, index, (gan.latent_size,))
    if gan.head is None or not gan.head.uniform_latents:
        return latents
    normal, last = jnp.split(latents, [gan.latent_size - gan.head.uniform_latents], axis=-1)
    return jnp.concatenate([normal, 2.0 * jax.scipy.stats.norm.cdf(last) - 1.0], -1)
