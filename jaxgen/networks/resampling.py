"""Halving and doubling the size of maps, and pixels as channels.

By reshaping, reducing and broadcasting: XLA's windowed reductions and their gradients are slow inside a compiled loop
on a CPU.
"""

import jax.numpy as jnp
from jax import Array


def average_pool(inputs: Array) -> Array:
    """[B, H, W, C] -> [B, H // 2, W // 2, C]: the mean of each window of 2x2, without an odd last row or column."""
    return _windows(inputs).mean((2, 4))


def max_pool(inputs: Array) -> Array:
    """[B, H, W, C] -> [B, H // 2, W // 2, C]: the maximum of each window of 2x2, without an odd last row or column.

    By comparing pairs: the gradient of `jnp.max` looks for what equals the maximum, and where XLA computes the inputs
    once more, in another order, nothing may: then it is 0 / 0.
    """
    windows = _windows(inputs)
    rows = _larger(windows[:, :, 0], windows[:, :, 1])  # [B, H // 2, W // 2, 2, C]
    return _larger(rows[..., 0, :], rows[..., 1, :])


def upsample(inputs: Array) -> Array:
    """[B, H, W, C] -> [B, 2 H, 2 W, C]: each pixel four times (nearest neighbour)."""
    batch, height, width, channels = inputs.shape
    repeated = jnp.broadcast_to(inputs[:, :, None, :, None], (batch, height, 2, width, 2, channels))
    return repeated.reshape(batch, 2 * height, 2 * width, channels)


def _larger(one: Array, other: Array) -> Array:
    return jnp.where(one >= other, one, other)


def _windows(inputs: Array) -> Array:
    """[B, H, W, C] -> [B, H // 2, 2, W // 2, 2, C]."""
    batch, rows, columns, channels = inputs.shape[0], inputs.shape[1] // 2, inputs.shape[2] // 2, inputs.shape[3]
    return inputs[:, : 2 * rows, : 2 * columns].reshape(batch, rows, 2, columns, 2, channels)


def space_to_depth(inputs: Array, steps: tuple[int, int]) -> Array:
    """[B, H, W, C] -> [B, H / s, W / t, s t C]: the pixels of each patch, row by row, as channels."""
    batch, height, width, channels = inputs.shape
    rows, columns = height // steps[0], width // steps[1]
    patches = inputs.reshape(batch, rows, steps[0], columns, steps[1], channels)
    return patches.transpose(0, 1, 3, 2, 4, 5).reshape(batch, rows, columns, -1)


def depth_to_space(patches: Array, steps: tuple[int, int]) -> Array:
    """[B, h, w, s t C] -> [B, h s, w t, C]: the other way round."""
    batch, rows, columns, _ = patches.shape
    pixels = patches.reshape(batch, rows, columns, *steps, -1)
    return pixels.transpose(0, 1, 3, 2, 4, 5).reshape(batch, rows * steps[0], columns * steps[1], -1)
