"""Exact rewritings of strided and transposed convolutions that are fast on a CPU.

Every convolution here becomes one with stride 1: the strided one by space-to-depth of its input, the transposed one by
depth-to-space of its output (the sub-pixel form of Shi et al. 2016, arXiv:1609.05158). What has stride 1 is then done
by a discrete Fourier transform of small maps where that takes much less arithmetic, and else by XLA's convolution, with
gradients written so that XLA finds its fast code for them.

Gradients of any order work in reverse mode; forward mode (`jax.jvp`) needs the plain form.
"""

import functools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

DIMENSION_NUMBERS = ("NHWC", "HWIO", "NHWC")
Padding = str | Sequence[tuple[int, int]]
Pair = tuple[int, int]


def strided_convolution(inputs: Array, kernel: Array, strides: Pair, padding: Padding) -> Array:
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


def transposed_convolution(inputs: Array, kernel: Array, strides: Pair, padding: Padding) -> Array:
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


def unit_convolution(inputs: Array, kernel: Array, firsts: Pair, out_sizes: Pair) -> Array:
    """Stride 1, y[i] = sum_q x[i + q] w[q - first] for 0 <= i < out_size, with x zero outside.

    Args:
      inputs: [B, H, W, C].
      kernel: [K, L, C, F].
      firsts: the offsets of the kernel's first tap.
      out_sizes: H', W'.

    Returns:
      [B, H', W', F].
    """
    channels, features = kernel.shape[2:]
    periods = _periods(inputs.shape[1:3], kernel.shape[:2], firsts, out_sizes)
    # Multiplications for each example: of the direct form, and of the transform's three products.
    direct = math.prod(out_sizes) * math.prod(kernel.shape)
    ends = math.prod(inputs.shape[1:3]) * channels + math.prod(out_sizes) * features
    transformed = 1.5 * math.prod(periods) * (ends + channels * features)
    if transformed < TRANSFORM_PAYS * direct:
        return _transform_convolution(inputs, kernel, firsts, out_sizes)
    return _direct_convolution(inputs, kernel, firsts, out_sizes)


TRANSFORM_PAYS = 0.5  # where it needs less than this part of the multiplications


# ---------------------------------------------------------------- the direct form


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _direct_convolution(inputs: Array, kernel: Array, firsts: Pair, out_sizes: Pair) -> Array:
    """`unit_convolution` by XLA, whose gradients are again this function, of operands laid out anew.

    XLA has fast CPU code for a convolution in the order NHWC, HWIO. It brings other orders into this one, but not
    inside loops, where its own gradients run up to 50 times slower. The barriers keep it from undoing the
    transpositions here.
    """
    pads = [
        (-first, size + first + k - 1 - n)
        for first, size, k, n in zip(firsts, out_sizes, kernel.shape, inputs.shape[1:], strict=False)
    ]
    return lax.conv_general_dilated(inputs, kernel, (1, 1), pads, dimension_numbers=DIMENSION_NUMBERS)


def _direct_forward(inputs: Array, kernel: Array, firsts: Pair, out_sizes: Pair) -> tuple[Array, tuple]:
    return _direct_convolution(inputs, kernel, firsts, out_sizes), (inputs, kernel)


def _direct_backward(firsts: Pair, out_sizes: Pair, saved: tuple, grads: Array) -> tuple[Array, Array]:
    inputs, kernel = saved
    flipped = lax.optimization_barrier(jnp.flip(kernel, (0, 1)).swapaxes(2, 3))
    flipped_firsts = tuple(-(first + k - 1) for first, k in zip(firsts, kernel.shape, strict=False))
    input_grads = _direct_convolution(grads, flipped, flipped_firsts, inputs.shape[1:3])
    # dw[q] = sum_i x[i + q] g[i]: the gradient is the kernel, the channels are the batch, the examples the channels.
    by_channel = lax.optimization_barrier(inputs.transpose(3, 1, 2, 0))
    by_position = lax.optimization_barrier(grads.transpose(1, 2, 0, 3))
    kernel_grads = _direct_convolution(by_channel, by_position, firsts, kernel.shape[:2])
    return input_grads, kernel_grads.transpose(1, 2, 0, 3)


_direct_convolution.defvjp(_direct_forward, _direct_backward)


# ---------------------------------------------------------------- the transform


def _transform_convolution(inputs: Array, kernel: Array, firsts: Pair, out_sizes: Pair) -> Array:
    """`unit_convolution` as y = O ((I x) * (K w)): one product [B, C] x [C, F] for each row of the transform.

    Each product is a multiplication of matrices and so are its gradients.
    """
    batch, height, width, channels = inputs.shape
    features = kernel.shape[-1]
    matrices = _transform_matrices((height, width), kernel.shape[:2], firsts, out_sizes)
    to_inputs, to_kernel, to_outputs = (jnp.asarray(matrix, inputs.dtype) for matrix in matrices)
    positions = inputs.reshape(batch, height * width, channels).swapaxes(0, 1)
    inputs = _mix(to_inputs, positions)  # [P, B, C]
    kernel = _mix(to_kernel, kernel.reshape(-1, channels, features))  # [P, C, F]
    outputs = _mix(to_outputs, inputs @ kernel)  # [H' W', B, F]
    return outputs.swapaxes(0, 1).reshape(batch, *out_sizes, features)


@jax.custom_vjp
def _mix(matrix: Array, rows: Array) -> Array:
    """A constant [M, N] times [N, ...] -> [M, ...]; its gradient is of the same form, so that nothing is transposed."""
    return (matrix @ rows.reshape(rows.shape[0], -1)).reshape(-1, *rows.shape[1:])


_mix.defvjp(
    lambda matrix, rows: (_mix(matrix, rows), matrix),
    lambda matrix, grads: (None, _mix(matrix.T, grads)),
)


def _periods(sizes: Pair, kernel_sizes: Pair, firsts: Pair, out_sizes: Pair) -> Pair:
    """The shortest periods at which a cyclic correlation has the wanted outputs: no tap may meet a wrong x[m]."""
    rows = zip(sizes, kernel_sizes, firsts, out_sizes, strict=True)
    return tuple(max(n - first, size + first + k - 1) for n, k, first, size in rows)


@functools.cache
def _transform_matrices(sizes: Pair, kernel_sizes: Pair, firsts: Pair, out_sizes: Pair) -> tuple[np.ndarray, ...]:
    """The matrices [P, H W], [P, K L] and [H' W', P] of the transform, in float64.

    With the two-dimensional discrete Fourier transform of the periods, Y = X V where V = conj(W). Of each pair of
    conjugate frequencies one is kept. A complex product (a + ib)(c + id) takes three real ones (Gauss):
    k1 = (a + b) c, k2 = a (d - c), k3 = b (c + d), and is (k1 - k3) + i (k1 + k2).
    """
    periods = _periods(sizes, kernel_sizes, firsts, out_sizes)

    def angles(frequency: Pair, starts: Pair, counts: Pair) -> np.ndarray:
        axes = [
            2 * np.pi * f * np.arange(start, start + count) / period
            for f, start, count, period in zip(frequency, starts, counts, periods, strict=True)
        ]
        return np.add.outer(*axes).ravel()

    to_inputs, to_kernel, to_outputs = [], [], []
    for frequency in np.ndindex(*periods):
        conjugate = tuple(-f % period for f, period in zip(frequency, periods, strict=True))
        if conjugate < frequency:
            continue
        x = np.exp(-1j * angles(frequency, (0, 0), sizes))
        v = np.exp(1j * angles(frequency, firsts, kernel_sizes))
        y = np.exp(1j * angles(frequency, (0, 0), out_sizes)) / math.prod(periods)
        if conjugate == frequency:  # X, V and Y are real
            to_inputs.append(x.real)
            to_kernel.append(v.real)
            to_outputs.append(y.real)
        else:
            to_inputs += [x.real + x.imag, x.real, x.imag]
            to_kernel += [v.real, v.imag - v.real, v.real + v.imag]
            to_outputs += [2 * (y.real - y.imag), -2 * y.imag, -2 * y.real]
    return np.stack(to_inputs), np.stack(to_kernel), np.stack(to_outputs, 1)


# ---------------------------------------------------------------- rearrangements


def _space_to_depth(inputs: Array, steps: Pair) -> Array:
    """[B, H, W, C] -> [B, ceil(H / s), ceil(W / t), s * t * C], padded with zeros at the end."""
    batch, height, width, channels = inputs.shape
    rows, columns = -(-height // steps[0]), -(-width // steps[1])
    missing = (rows * steps[0] - height, columns * steps[1] - width)
    if any(missing):
        inputs = jnp.pad(inputs, ((0, 0), (0, missing[0]), (0, missing[1]), (0, 0)))
    inputs = inputs.reshape(batch, rows, steps[0], columns, steps[1], channels)
    return inputs.transpose(0, 1, 3, 2, 4, 5).reshape(batch, rows, columns, -1)


def _split_taps(kernel: Array, steps: Pair, starts: Pair) -> tuple[Array, Pair]:
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
