"""A convolution with few features: the products of all taps at each position, then sums of shifted maps.

XLA's CPU code for few features takes several times as long as for few channels, up to 20 times.
"""

import functools

import jax
import jax.numpy as jnp
from jax import Array, lax

from jaxgen.core.per_example import total
from jaxgen.networks.layers.convolution.dft import Pair
from jaxgen.networks.layers.convolution.im2col import extract_patches
from jaxgen.networks.layers.convolution.lax_vjp import unit_pads


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def shift_sum_convolution(inputs: Array, kernel: Array, offsets: Pair, out_sizes: Pair) -> Array:
    """Convolve with stride 1, y[i] = sum_q x[i + q] w[q - offset] for 0 <= i < out_size, with x zero outside.

    Both gradients are products with the patches of the output's gradient, which has few channels.

    Args:
      inputs: [B, H, W, C].
      kernel: [K, L, C, F], where F is small.
      offsets: the offset of the kernel's first tap on each axis.
      out_sizes: H', W'.

    Returns:
      [B, H', W', F].
    """
    pads = [(before, after, 0) for before, after in unit_pads(inputs.shape[1:3], kernel.shape[:2], offsets, out_sizes)]
    inputs = lax.pad(inputs, jnp.zeros((), inputs.dtype), [(0, 0, 0), *pads, (0, 0, 0)])
    rows, columns, channels, features = kernel.shape
    products = jnp.einsum("klcf,nc->klfn", kernel, inputs.reshape(-1, channels))
    products = products.reshape(rows, columns, features, *inputs.shape[:3])
    sums = total(products[k, :, :, :, k : k + out_sizes[0]] for k in range(rows))
    return jnp.moveaxis(total(sums[k, :, :, :, k : k + out_sizes[1]] for k in range(columns)), 0, -1)


def _forward(inputs: Array, kernel: Array, offsets: Pair, out_sizes: Pair) -> tuple[Array, tuple[Array, Array]]:
    return shift_sum_convolution(inputs, kernel, offsets, out_sizes), (inputs, kernel)


def _backward(offsets: Pair, out_sizes: Pair, saved: tuple[Array, Array], grads: Array) -> tuple[Array, Array]:
    inputs, kernel = saved
    del out_sizes
    flipped = jnp.flip(kernel, (0, 1)).swapaxes(2, 3)  # [K, L, F, C]
    pad_before = [offset + k - 1 for offset, k in zip(offsets, kernel.shape, strict=False)]
    rows = extract_patches(grads, kernel.shape[:2], (1, 1), pad_before, inputs.shape[1:3])  # [B, H, W, K L F]
    rows = rows.reshape(-1, rows.shape[-1])
    input_grads = (rows @ flipped.reshape(rows.shape[1], -1)).reshape(inputs.shape)
    kernel_grads = (rows.T @ inputs.reshape(len(rows), -1)).reshape(flipped.shape)
    return input_grads, jnp.flip(kernel_grads, (0, 1)).swapaxes(2, 3)


shift_sum_convolution.defvjp(_forward, _backward)
