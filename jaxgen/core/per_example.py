"""Sums and means over all numbers of each example."""

import jax
import jax.numpy as jnp


def rows(values: jax.Array) -> jax.Array:
    """[B, ...] -> [B, N], to be taken before a function of each number whose results are then added up.

    On a CPU, XLA makes one loop of such a function and its sum, which takes four times as long over [28, 28, 1] as over
    [784] (benchmarks/README.md).
    """
    return values.reshape(len(values), -1)


def row_sums(values: jax.Array) -> jax.Array:
    """[B, ...] -> [B]."""
    return jnp.sum(rows(values), -1)


def row_means(values: jax.Array) -> jax.Array:
    """[B, ...] -> [B]."""
    return jnp.mean(rows(values), -1)
