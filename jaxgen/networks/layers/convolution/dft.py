"""Convolutions with stride 1 by a discrete Fourier transform, written as products with constant matrices."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

Pair = tuple[int, ...]
"""(of rows, of columns): a part of a shape, for which no type can say that it has two numbers."""


def dft_convolution(inputs: Array, kernel: Array, offsets: Pair, out_sizes: Pair) -> Array:
    """Do `unit_convolution` as y = O ((I x) * (K w)): one product [B, C] x [C, F] for each row of the transform.

    Each product is a matrix multiplication, and so are its gradients.
    """
    batch, height, width, channels = inputs.shape
    features = kernel.shape[-1]
    matrices = _transform_matrices((height, width), kernel.shape[:2], offsets, out_sizes)
    to_inputs, to_kernel, to_outputs = (jnp.asarray(matrix, inputs.dtype) for matrix in matrices)
    positions = inputs.reshape(batch, height * width, channels).swapaxes(0, 1)
    inputs = _mix(to_inputs, positions)  # [P, B, C]
    kernel = _mix(to_kernel, kernel.reshape(-1, channels, features))  # [P, C, F]
    outputs = _mix(to_outputs, inputs @ kernel)  # [H' W', B, F]
    return outputs.swapaxes(0, 1).reshape(batch, *out_sizes, features)


@jax.custom_vjp
def _mix(matrix: Array, rows: Array) -> Array:
    """Multiply a constant [M, N] with [N, ...] to [M, ...].

    The gradient has the same form, so that nothing is transposed.
    """
    return (matrix @ rows.reshape(rows.shape[0], -1)).reshape(-1, *rows.shape[1:])


_mix.defvjp(
    lambda matrix, rows: (_mix(matrix, rows), matrix),
    lambda matrix, grads: (None, _mix(matrix.T, grads)),
)


def shortest_periods(sizes: Pair, kernel_sizes: Pair, offsets: Pair, out_sizes: Pair) -> Pair:
    """Return the shortest periods at which a cyclic correlation has the wanted outputs.

    At these periods no tap meets a wrong x[m].
    """
    rows = zip(sizes, kernel_sizes, offsets, out_sizes, strict=True)
    return tuple(max(n - offset, size + offset + k - 1) for n, k, offset, size in rows)


@functools.cache
def _transform_matrices(sizes: Pair, kernel_sizes: Pair, offsets: Pair, out_sizes: Pair) -> tuple[np.ndarray, ...]:
    """Return the matrices [P, H W], [P, K L] and [H' W', P] of the transform, in float64.

    With the two-dimensional discrete Fourier transform of the periods, Y = X V where V = conj(W). One frequency of each
    pair of conjugates is kept. A complex product (a + ib)(c + id) takes three real ones (Gauss): k1 = (a + b) c, k2 = a
    (d - c), k3 = b (c + d), and is (k1 - k3) + i (k1 + k2).
    """
    periods = shortest_periods(sizes, kernel_sizes, offsets, out_sizes)

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
        x: NDArray[np.complex128] = np.exp(-1j * angles(frequency, (0, 0), sizes))
        v: NDArray[np.complex128] = np.exp(1j * angles(frequency, offsets, kernel_sizes))
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
