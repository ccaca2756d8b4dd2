"""Halving and doubling the size of maps, with and without a filter, and rearranging pixels into channels.

All is done by reshaping, reducing and broadcasting: XLA's windowed reductions and their gradients are slow inside a
compiled loop on a CPU.
"""

import functools

import jax
import jax.numpy as jnp
from jax import Array, lax

from jaxgen.core.per_example import total


def average_pool(inputs: Array) -> Array:
    """Map [B, H, W, C] to the mean of each 2x2 window, [B, H // 2, W // 2, C], without an odd last row or column."""
    return _windows(inputs).mean((2, 4))


def max_pool(inputs: Array) -> Array:
    """Map [B, H, W, C] to the maximum of each 2x2 window, [B, H // 2, W // 2, C], without an odd last row or column.

    It compares pairs. The gradient of `jnp.max` looks for the elements equal to the maximum, and if XLA recomputes the
    inputs in another order, there may be no such element, and the gradient is 0 / 0.
    """
    windows = _windows(inputs)
    rows = _larger(windows[:, :, 0], windows[:, :, 1])  # [B, H // 2, W // 2, 2, C]
    return _larger(rows[..., 0, :], rows[..., 1, :])


def upsample(inputs: Array) -> Array:
    """Map [B, H, W, C] to [B, 2 H, 2 W, C] by nearest-neighbor upsampling."""
    batch, height, width, channels = inputs.shape
    repeated = jnp.broadcast_to(inputs[:, :, None, :, None], (batch, height, 2, width, 2, channels))
    return repeated.reshape(batch, 2 * height, 2 * width, channels)


def _larger(one: Array, other: Array) -> Array:
    return jnp.where(one >= other, one, other)


def _windows(inputs: Array) -> Array:
    """Split [B, H, W, C] into 2x2 windows, [B, H // 2, 2, W // 2, 2, C]."""
    batch, rows, columns, channels = inputs.shape[0], inputs.shape[1] // 2, inputs.shape[2] // 2, inputs.shape[3]
    return inputs[:, : 2 * rows, : 2 * columns].reshape(batch, rows, 2, columns, 2, channels)


# ---------------------------------------------------------------- with a filter

TAPS = (1.0, 3.0, 3.0, 1.0)
"""The low-pass filter of StyleGAN2 on each axis (Karras et al. 2020, arXiv:1912.04958, appendix B), before scaling."""


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def smooth(inputs: Array, pads: tuple[int, int], gain: float) -> Array:
    """Filter each axis by `TAPS`, scaled so that constants are multiplied by `gain`, with zeros outside.

    It computes y[i] = sum_t h[t] x[i + t - before] as a sum of shifted maps: XLA's own depthwise convolution is slow on
    a CPU, and so is a sum into which it fuses the padding. The gradient is again this function.

    Args:
      inputs: [B, H, W, C].
      pads: number of zeros before and after each axis, at most 3.

    Returns:
      [B, H', W', C], H' = H + before + after - 3.
    """
    for axis in (1, 2):
        padded = lax.optimization_barrier(_padded(inputs, axis, pads))
        size = padded.shape[axis] - len(TAPS) + 1
        shifted = [lax.slice_in_dim(padded, t, t + size, axis=axis) for t in range(len(TAPS))]
        inputs = total(gain**0.5 / sum(TAPS) * tap * x for tap, x in zip(TAPS, shifted, strict=True))
    return inputs


def _smooth_forward(inputs: Array, pads: tuple[int, int], gain: float) -> tuple[Array, None]:
    return smooth(inputs, pads, gain), None


def _smooth_backward(pads: tuple[int, int], gain: float, _: None, grads: Array) -> tuple[Array]:
    return (smooth(grads, (len(TAPS) - 1 - pads[0], len(TAPS) - 1 - pads[1]), gain),)  # the taps are symmetric


smooth.defvjp(_smooth_forward, _smooth_backward)


def smooth_upsample(inputs: Array) -> Array:
    """Upsample [B, H, W, C] to [B, 2 H, 2 W, C] by zeros between the pixels, filtered by `TAPS` (with sum 4).

    On each axis y[2 i] = (x[i - 1] + 3 x[i]) / 4 and y[2 i + 1] = (3 x[i] + x[i + 1]) / 4.
    """
    for axis in (1, 2):
        padded, size = _padded(inputs, axis, (1, 1)), inputs.shape[axis]
        before, after = (lax.slice_in_dim(padded, t, t + size, axis=axis) for t in (0, 2))
        both = jnp.stack([0.25 * before + 0.75 * inputs, 0.75 * inputs + 0.25 * after], axis + 1)
        inputs = both.reshape(*inputs.shape[:axis], 2 * size, *inputs.shape[axis + 1 :])
    return inputs


def smooth_downsample(inputs: Array) -> Array:
    """Downsample [B, H, W, C], H and W even, to [B, H / 2, W / 2, C], after filtering by `TAPS` (with sum 1).

    On each axis y[i] = (x[2 i - 1] + 3 x[2 i] + 3 x[2 i + 1] + x[2 i + 2]) / 8.
    """
    for axis in (1, 2):
        size = inputs.shape[axis] // 2
        padded = _padded(inputs, axis, (1, 1))
        pairs = padded.reshape(*inputs.shape[:axis], size + 1, 2, *inputs.shape[axis + 1 :])
        first, second = (lax.index_in_dim(pairs, t, axis + 1, keepdims=False) for t in (0, 1))
        here = lax.slice_in_dim(0.125 * first + 0.375 * second, 0, size, axis=axis)
        inputs = here + lax.slice_in_dim(0.375 * first + 0.125 * second, 1, size + 1, axis=axis)
    return inputs


def _padded(inputs: Array, axis: int, pads: tuple[int, int]) -> Array:
    """Pad with zeros before and after along one axis."""
    widths = [(0, 0)] * inputs.ndim
    widths[axis] = pads
    return jnp.pad(inputs, widths)


# ---------------------------------------------------------------- space and depth


def space_to_depth(inputs: Array, steps: tuple[int, ...]) -> Array:
    """Map [B, H, W, C] to [B, H / s, W / t, s t C]: the pixels of each patch, row by row, as channels."""
    batch, height, width, channels = inputs.shape
    rows, columns = height // steps[0], width // steps[1]
    patches = inputs.reshape(batch, rows, steps[0], columns, steps[1], channels)
    return patches.transpose(0, 1, 3, 2, 4, 5).reshape(batch, rows, columns, -1)


def depth_to_space(patches: Array, steps: tuple[int, ...]) -> Array:
    """Map [B, h, w, s t C] to [B, h s, w t, C], the inverse of `space_to_depth`."""
    batch, rows, columns, _ = patches.shape
    pixels = patches.reshape(batch, rows, columns, *steps, -1)
    return pixels.transpose(0, 1, 3, 2, 4, 5).reshape(batch, rows * steps[0], columns * steps[1], -1)
