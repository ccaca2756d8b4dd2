"""Halving and doubling the size of maps.

By reshaping, reducing and broadcasting: XLA's windowed reductions and their gradients are slow inside a compiled loop
on a CPU.
"""

import jax.numpy as jnp
from jax import Array


def average_pool(inputs: Array) -> Array:
    """[B, H, W, C] -> [B, H // 2, W // 2, C]: the mean of each window of 2x2, without an odd last row or column."""
    return _windows(inputs).mean((2, 4))


def max_pool(inputs: Array) -> Array:
    """[B, H, W, C] -> [B, H // 2, W // 2, C]: the maximum of each window of 2x2, without an odd last row or column."""
    return _windows(inputs).max((2, 4))


def upsample(inputs: Array) -> Array:
    """[B, H, W, C] -> [B, 2 H, 2 W, C]: each pixel four times (nearest neighbour)."""
    batch, height, width, channels = inputs.shape
    repeated = jnp.broadcast_to(inputs[:, :, None, :, None], (batch, height, 2, width, 2, channels))
    return repeated.reshape(batch, 2 * height, 2 * width, channels)


def _windows(inputs: Array) -> Array:
    """[B, H, W, C] -> [B, H // 2, 2, W // 2, 2, C]."""
    batch, rows, columns, channels = inputs.shape[0], inputs.shape[1] // 2, inputs.shape[2] // 2, inputs.shape[3]
    return inputs[:, : 2 * rows, : 2 * columns].reshape(batch, rows, 2, columns, 2, channels)
