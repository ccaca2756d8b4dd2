"""Embedding tables and sinusoidal embeddings."""

import jax
import jax.numpy as jnp
from jax import Array

_ONE_HOT_UP_TO = 512


def look_up(table: Array, tokens: Array) -> Array:
    """Look up tokens int [...] in a table [K, E]: [..., E].

    Small tables are looked up exactly by a product with one-hot rows: then the gradient is a product too, whereas that
    of indexing adds row by row (on a CPU, in one thread).
    """
    if len(table) > _ONE_HOT_UP_TO:
        return table[tokens]
    rows = jax.nn.one_hot(tokens.reshape(-1), len(table), dtype=table.dtype) @ table
    return rows.reshape(*tokens.shape, -1)


def sinusoids(values: Array, size: int, *, slowest: float = 1.0, fastest: float = 100.0) -> Array:
    """Map [...] to [..., size]: cosines and sines of the values times log-spaced frequencies.

    See Vaswani et al. 2017, arXiv:1706.03762, section 3.5; the default frequencies are for values of about -2 to 2.
    """
    frequencies = jnp.geomspace(slowest, fastest, size // 2, dtype=values.dtype)
    angles = values[..., None] * frequencies
    return jnp.concatenate([jnp.cos(angles), jnp.sin(angles)], -1)
