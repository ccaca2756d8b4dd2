"""XLA's convolution of stride 1, with gradients written so that XLA's CPU code is fast for them."""

import functools
from collections.abc import Sequence
from typing import cast

import jax
import jax.numpy as jnp
from jax import Array, lax

from jaxgen.core.per_example import total
from jaxgen.networks.layers.convolution.dft import Pair

DIMENSION_NUMBERS = ("NHWC", "HWIO", "NHWC")

GROUP_NUMBERS = 2**17  # numbers of the output's gradient in a group (512 kB), so that they stay in a core's cache
GROUP_EXAMPLES = 8  # most examples in a group
MOST_GROUPS = 16  # most groups, each of which is an operation to compile


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def lax_vjp_convolution(inputs: Array, kernel: Array, offsets: Pair, out_sizes: Pair) -> Array:
    """Do `dispatch.unit_convolution`, with the same arguments, by XLA.

    The gradients are again this function, with operands laid out anew. XLA has fast CPU code for a convolution in the
    order NHWC, HWIO. It converts other orders into this one, but not inside loops, where its own gradients run up to 50
    times slower. The barriers keep it from undoing the transpositions here.
    """
    pads = unit_pads(inputs.shape[1:3], kernel.shape[:2], offsets, out_sizes)
    return lax.conv_general_dilated(inputs, kernel, (1, 1), pads, dimension_numbers=DIMENSION_NUMBERS)


def _forward(inputs: Array, kernel: Array, offsets: Pair, out_sizes: Pair) -> tuple[Array, tuple]:
    return lax_vjp_convolution(inputs, kernel, offsets, out_sizes), (inputs, kernel)


def _backward(offsets: Pair, out_sizes: Pair, saved: tuple, grads: Array) -> tuple[Array, Array]:
    inputs, kernel = saved
    flipped = lax.optimization_barrier(jnp.flip(kernel, (0, 1)).swapaxes(2, 3))
    flipped_offsets = tuple(-(offset + k - 1) for offset, k in zip(offsets, kernel.shape, strict=False))
    input_grads = cast(Array, lax_vjp_convolution(grads, flipped, flipped_offsets, inputs.shape[1:3]))
    if any(size > n for size, n in zip(out_sizes, inputs.shape[1:], strict=False)):
        # XLA would take the convolution below for a gradient with respect to the inputs, for which its code is slow.
        inputs, offsets = _padded(inputs, kernel.shape[:2], offsets, out_sizes)
    size = _group_size(grads.shape)
    kernel_grads = total(
        _kernel_grads(inputs[start : start + size], grads[start : start + size], kernel.shape[:2], offsets)
        for start in range(0, len(grads), size)
    )
    return input_grads, kernel_grads.transpose(1, 2, 0, 3)


lax_vjp_convolution.defvjp(_forward, _backward)


def _kernel_grads(inputs: Array, grads: Array, kernel_sizes: Pair, offsets: Pair) -> Array:
    """Return dw[q] = sum_i x[i + q] g[i] as [C, K, L, F].

    It is a convolution with g as the kernel, channels as the batch and examples as the channels.
    """
    by_channel = lax.optimization_barrier(inputs.transpose(3, 1, 2, 0))
    by_position = lax.optimization_barrier(grads.transpose(1, 2, 0, 3))
    return lax_vjp_convolution(by_channel, by_position, offsets, kernel_sizes)


def _group_size(shape: Sequence[int]) -> int:
    """Return how many examples' gradients [B, H', W', F] to sum in a part of the kernel's gradient: a divisor of B."""
    batch, height, width, features = shape
    most = min(GROUP_EXAMPLES, GROUP_NUMBERS // (height * width * features))
    sizes = [n for n in range(1, batch + 1) if batch % n == 0 and batch // n <= MOST_GROUPS]
    return max((n for n in sizes if n <= most), default=sizes[0])


def unit_pads(sizes: Pair, kernel_sizes: Pair, offsets: Pair, out_sizes: Pair) -> list[tuple[int, int]]:
    """Return the zeros that a convolution of stride 1 meets before and after each axis; below 0: values left out."""
    return [
        (-offset, out_size + offset + k - 1 - n)
        for n, k, offset, out_size in zip(sizes, kernel_sizes, offsets, out_sizes, strict=True)
    ]


def _padded(inputs: Array, kernel_sizes: Pair, offsets: Pair, out_sizes: Pair) -> tuple[Array, Pair]:
    """Return the inputs with all zeros that a convolution meets, and the offsets of its first tap in them."""
    pads = unit_pads(inputs.shape[1:3], kernel_sizes, offsets, out_sizes)
    pads = [(max(0, before), max(0, after)) for before, after in pads]
    starts = tuple(offset + pad[0] for offset, pad in zip(offsets, pads, strict=True))
    return jnp.pad(inputs, ((0, 0), *pads, (0, 0))), starts
