"""Exact rewritings of strided and transposed convolutions that are fast on a CPU.

Every convolution here becomes one with stride 1: the strided one by space-to-depth of its input, the transposed one by
depth-to-space of its output (the sub-pixel form of Shi et al. 2016, arXiv:1609.05158). On a CPU XLA has good code for
that and for both of its gradients, and very slow code for the gradients of the dilated forms.
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import Array, lax

DIMENSION_NUMBERS = ("NHWC", "HWIO", "NHWC")
Padding = str | Sequence[tuple[int, int]]


def strided_convolution(inputs: Array, kernel: Array, strides: tuple[int, int], padding: Padding) -> Array:
    """`lax.conv_general_dilated` as a stride-1 convolution of the space-to-depth inputs.

    With the tap t of the padded input written as t - pad = s q + r, 0 <= r < s,
    y[i] = sum_t x[s i + t - pad] w[t] = sum_{q, r} X[i + q, r] W[q, r], where X[m, r] = x[s m + r].

    Args:
      inputs: [B, H, W, C].
      kernel: [kh, kw, C, F].
      strides: steps of the window, in pixels.
      padding: "SAME", "VALID" or ((top, bottom), (left, right)).

    Returns:
      [B, H', W', F].
    """
    sizes = inputs.shape[1:3]
    pads = padding
    if isinstance(padding, str):
        pads = lax.padtype_to_pads(sizes, kernel.shape[:2], strides, padding)
    out_sizes = tuple(
        (n + sum(pad) - k) // s + 1 for n, pad, k, s in zip(sizes, pads, kernel.shape, strides, strict=False)
    )
    starts = tuple(pad[0] for pad in pads)
    kernel, firsts = _split_taps(kernel, strides, starts)  # [K, s, L, t, C, F]
    rows, row_step, columns, column_step, channels, features = kernel.shape
    kernel = kernel.transpose(0, 2, 1, 3, 4, 5).reshape(rows, columns, row_step * column_step * channels, features)
    return unit_convolution(_space_to_depth(inputs, strides), kernel, firsts, out_sizes)


def transposed_convolution(inputs: Array, kernel: Array, strides: tuple[int, int], padding: Padding) -> Array:
    """`lax.conv_transpose` as a stride-1 convolution followed by depth-to-space.

    y[s i + p] = sum_q x[i + q] w[s q + pad - p] for each phase 0 <= p < s of the output.

    Args:
      inputs: [B, H, W, C].
      kernel: [kh, kw, C, F].
      strides: pixels of the output for each pixel of the inputs.
      padding: "SAME", "VALID" or ((top, bottom), (left, right)), of the dilated inputs.

    Returns:
      [B, H', W', F]; for "SAME" H' = strides[0] * H.
    """
    batch = inputs.shape[0]
    pads = padding
    if isinstance(padding, str):
        pads = [_transposed_pads(k, s, padding) for k, s in zip(kernel.shape, strides, strict=False)]
    out_sizes = tuple(
        (n - 1) * s + 1 + sum(pad) - k + 1
        for n, pad, k, s in zip(inputs.shape[1:3], pads, kernel.shape, strides, strict=False)
    )
    starts = tuple(pad[0] - s + 1 for pad, s in zip(pads, strides, strict=True))
    kernel, firsts = _split_taps(kernel, strides, starts)  # [K, s, L, t, C, F], the phases in falling order
    rows, row_step, columns, column_step, channels, features = kernel.shape
    kernel = jnp.flip(kernel, (1, 3)).transpose(0, 2, 4, 1, 3, 5)
    kernel = kernel.reshape(rows, columns, channels, row_step * column_step * features)
    cells = tuple(-(-n // s) for n, s in zip(out_sizes, strides, strict=True))
    outputs = unit_convolution(inputs, kernel, firsts, cells)
    outputs = outputs.reshape(batch, *cells, row_step, column_step, features).transpose(0, 1, 3, 2, 4, 5)
    outputs = outputs.reshape(batch, cells[0] * row_step, cells[1] * column_step, features)
    return outputs[:, : out_sizes[0], : out_sizes[1]]


def unit_convolution(inputs: Array, kernel: Array, firsts: tuple[int, int], out_sizes: tuple[int, int]) -> Array:
    """Stride 1, y[i] = sum_q x[i + q] w[q - first] for 0 <= i < out_size, with x zero outside.

    Args:
      inputs: [B, H, W, C].
      kernel: [K, L, C, F].
      firsts: the offsets of the kernel's first tap.
      out_sizes: H', W'.

    Returns:
      [B, H', W', F].
    """
    pads = [
        (-first, size + first + k - 1 - n)
        for first, size, k, n in zip(firsts, out_sizes, kernel.shape, inputs.shape[1:], strict=False)
    ]
    return canonical_convolution(inputs, kernel, tuple(pads))


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def canonical_convolution(inputs: Array, kernel: Array, pads: tuple[tuple[int, int], tuple[int, int]]) -> Array:
    """A stride-1 convolution, [B, H, W, C] with [K, L, C, F], whose gradients are such convolutions too.

    XLA's own gradients have other dimension numbers, which on a CPU it brings to the fast order only outside of loops:
    inside a `lax.scan` or `while_loop` they run about a hundred times slower (jax 0.10.2).
    """
    return lax.conv_general_dilated(inputs, kernel, (1, 1), pads, dimension_numbers=DIMENSION_NUMBERS)


def _canonical_forward(inputs: Array, kernel: Array, pads: tuple) -> tuple[Array, tuple[Array, Array]]:
    return canonical_convolution(inputs, kernel, pads), (inputs, kernel)


def _canonical_backward(pads: tuple, residuals: tuple[Array, Array], grads: Array) -> tuple[Array, Array]:
    inputs, kernel = residuals
    # dx[j] = sum_q dy[j - q] w[q]: the flipped kernel from outputs to inputs.
    back = []
    for (low, _), k, n, size in zip(pads, kernel.shape, inputs.shape[1:], grads.shape[1:], strict=False):
        back.append((k - 1 - low, n - size + low))
    flipped = jnp.flip(kernel, (0, 1)).transpose(0, 1, 3, 2)
    # dw[q] = sum_{b, i} x[b, i + q] dy[b, i]: the channels of the inputs are the batch, and the batch is summed over.
    kernel_grads = canonical_convolution(inputs.transpose(3, 1, 2, 0), grads.transpose(1, 2, 0, 3), pads)
    return canonical_convolution(grads, flipped, tuple(back)), kernel_grads.transpose(1, 2, 0, 3)


canonical_convolution.defvjp(_canonical_forward, _canonical_backward)


def _space_to_depth(inputs: Array, steps: tuple[int, int]) -> Array:
    """[B, H, W, C] -> [B, ceil(H / s), ceil(W / t), s * t * C], padded with zeros at the end."""
    batch, height, width, channels = inputs.shape
    rows, columns = -(-height // steps[0]), -(-width // steps[1])
    missing = (rows * steps[0] - height, columns * steps[1] - width)
    if any(missing):
        inputs = jnp.pad(inputs, ((0, 0), (0, missing[0]), (0, missing[1]), (0, 0)))
    inputs = inputs.reshape(batch, rows, steps[0], columns, steps[1], channels)
    return inputs.transpose(0, 1, 3, 2, 4, 5).reshape(batch, rows, columns, -1)


def _split_taps(kernel: Array, steps: tuple[int, int], starts: tuple[int, int]) -> tuple[Array, tuple[int, int]]:
    """Writes each tap t as t - start = s q + r: [kh, kw, C, F] -> [K, s, L, t, C, F] and the first q of each axis."""
    pads, shape, firsts = [], [], []
    for size, step, start in zip(kernel.shape, steps, starts, strict=False):
        first, last = -start // step, (size - 1 - start) // step
        count = last - first + 1
        before = -start - step * first
        pads.append((before, count * step - before - size))
        shape += [count, step]
        firsts.append(first)
    kernel = jnp.pad(kernel, (*pads, (0, 0), (0, 0)))
    return kernel.reshape(*shape, *kernel.shape[2:]), tuple(firsts)


def _transposed_pads(size: int, step: int, padding: str) -> tuple[int, int]:
    """The padding of the dilated inputs, as `lax.conv_transpose` has it."""
    if padding == "SAME":
        total = size + step - 2
        before = size - 1 if step > size - 1 else -(-total // 2)
    else:
        total = size + step - 2 + max(size - step, 0)
        before = size - 1
    return before, total - before
