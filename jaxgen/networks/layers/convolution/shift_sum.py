"""A convolution with few features: the products of all taps at each place, and then sums of moved maps.

XLA's CPU code for it takes several times as long as for one with few channels, up to 20 times.
"""

import functools

import jax
import jax.numpy as jnp
from jax import Array, lax

from jaxgen.networks.layers.convolution.dft import Pair
from jaxgen.networks.layers.convolution.im2col import patches_of
from jaxgen.networks.layers.convolution.lax_vjp import unit_pads


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def thin_convolution(inputs: Array, kernel: Array, firsts: Pair, out_sizes: Pair) -> Array:
    """Stride 1, y[i] = sum_q x[i + q] w[q - first] for 0 <= i < out_size, with x zero outside.

    Both gradients are products with the patches of the output's gradient, which has few channels.

    Args:
      inputs: [B, H, W, C].
      kernel: [K, L, C, F], F being small.
      firsts: the offsets of the kernel's first tap.
      out_sizes: H', W'.

    Returns:
      [B, H', W', F].
    """
    pads = [(*pad, 0) for pad in unit_pads(inputs.shape[1:3], kernel.shape[:2], firsts, out_sizes)]
    inputs = lax.pad(inputs, jnp.zeros((), inputs.dtype), [(0, 0, 0), *pads, (0, 0, 0)])
    rows, columns, channels, features = kernel.shape
    products = jnp.einsum("klcf,nc->klfn", kernel, inputs.reshape(-1, channels))
    products = products.reshape(rows, columns, features, *inputs.shape[:3])
    sums = sum(products[k, :, :, :, k : k + out_sizes[0]] for k in range(rows))
    return jnp.moveaxis(sum(sums[k, :, :, :, k : k + out_sizes[1]] for k in range(columns)), 0, -1)


def _forward(inputs: Array, kernel: Array, firsts: Pair, out_sizes: Pair) -> tuple[Array, tuple[Array, Array]]:
    return thin_convolution(inputs, kernel, firsts, out_sizes), (inputs, kernel)


def _backward(firsts: Pair, out_sizes: Pair, saved: tuple[Array, Array], grads: Array) -> tuple[Array, Array]:
    inputs, kernel = saved
    del out_sizes
    flipped = jnp.flip(kernel, (0, 1)).swapaxes(2, 3)  # [K, L, F, C]
    befores = [first + k - 1 for first, k in zip(firsts, kernel.shape, strict=False)]
    rows = patches_of(grads, kernel.shape[:2], (1, 1), befores, inputs.shape[1:3])  # [B, H, W, K L F]
    rows = rows.reshape(-1, rows.shape[-1])
    input_grads = (rows @ flipped.reshape(rows.shape[1], -1)).reshape(inputs.shape)
    kernel_grads = (rows.T @ inputs.reshape(len(rows), -1)).reshape(flipped.shape)
    return input_grads, jnp.flip(kernel_grads, (0, 1)).swapaxes(2, 3)


thin_convolution.defvjp(_forward, _backward)
