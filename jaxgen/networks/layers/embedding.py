"""Rows of a table by number, and numbers as vectors."""

import jax
import jax.numpy as jnp
from jax import Array

_ONE_HOT_UP_TO = 512


def look_up(table: Array, tokens: Array) -> Array:
    """Table [K, E] and tokens int [...] -> [..., E].

    Small tables are looked up by a product with one-hot rows, exactly: then the gradient is a product too, where that
    of an index adds row by row (on a CPU, in one thread).
    """
    if len(table) > _ONE_HOT_UP_TO:
        return table[tokens]
    rows = jax.nn.one_hot(tokens.reshape(-1), len(table), dtype=table.dtype) @ table
    return rows.reshape(*tokens.shape, -1)


def sinusoids(values: Array, size: int, *, slowest: float = 1.0, fastest: float = 100.0) -> Array:
    """[...] -> [..., size]: cosines and sines of the values times frequencies that are even in their logarithm.

    (Vaswani et al. 2017, arXiv:1706.03762, section 3.5, with frequencies for values of about -2 to 2.)
    """
    frequencies = jnp.geomspace(slowest, fastest, size // 2, dtype=values.dtype)
    angles = values[..., None] * frequencies
    return jnp.concatenate([jnp.cos(angles), jnp.sin(angles)], -1)
