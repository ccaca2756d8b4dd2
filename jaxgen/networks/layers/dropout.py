"""Dropout with a key for each example."""

import jax
import jax.numpy as jnp
from jax import Array

from jaxgen.core.keys import folded_keys


def folded(keys: Array | None, number: int) -> Array | None:
    """Fold a number into each of the keys [B], for one layer of several; None remains None."""
    return None if keys is None else folded_keys(keys, number)


def apply_dropout(x: Array, rate: float, keys: Array | None, use: int) -> Array:
    """Return x / (1 - rate) with probability 1 - rate, else 0 (Srivastava et al. 2014), by one key for each example.

    The mask of an example thus does not depend on how many devices share the batch.

    Args:
      x: [B, ...].
      keys: [B]; None: x unchanged.
      use: a number that differs wherever the same keys are used again.
    """
    if keys is None or rate == 0.0:
        return x
    draw = jax.vmap(lambda key: jax.random.bernoulli(jax.random.fold_in(key, use), 1.0 - rate, x.shape[1:]))
    return jnp.where(draw(keys), x / (1.0 - rate), 0.0).astype(x.dtype)
