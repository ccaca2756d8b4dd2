"""Sums of arrays, and sums and means over all values of each example."""

from collections.abc import Iterable
from typing import cast

import jax
import jax.numpy as jnp


def total(arrays: Iterable[jax.Array]) -> jax.Array:
    """Return `sum(arrays)` of at least one array; 0 is added first, as `sum` does."""
    return cast(jax.Array, sum(arrays))


def rows(values: jax.Array) -> jax.Array:
    """Flatten [B, ...] to [B, N], before an elementwise function whose results are summed.

    On a CPU, XLA fuses such a function and its sum into one loop, which takes four times as long over [28, 28, 1] as
    over [784] (benchmarks/README.md).
    """
    return values.reshape(len(values), -1)


def row_sums(values: jax.Array) -> jax.Array:
    """Sum [B, ...] over all axes but the first: [B]."""
    return jnp.sum(rows(values), -1)


def row_means(values: jax.Array) -> jax.Array:
    """Average [B, ...] over all axes but the first: [B]."""
    return jnp.mean(rows(values), -1)
