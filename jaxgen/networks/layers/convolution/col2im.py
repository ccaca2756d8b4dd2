"""A transposed convolution as products of all taps at each input position, added where they overlap (col2im).

It multiplies by exactly the taps of the kernel: 9 for 3x3 with stride 2, where the sub-pixel form has 16.
"""

import functools

import jax
import jax.numpy as jnp
from jax import Array, lax

from jaxgen.networks.layers.convolution.dft import Pair
from jaxgen.networks.layers.convolution.im2col import extract_patches, tall_product


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def col2im_convolution(inputs: Array, kernel: Array, strides: Pair, pad_before: Pair, out_sizes: Pair) -> Array:
    """Add up y[j] = sum of x[i] w[t] over all i, t with s i + t - pad_before = j, for 0 <= j < out_size on each axis.

    Both gradients are products with the patches that `im2col_convolution` with these strides takes of the output's
    gradient.

    Args:
      inputs: [B, H, W, C].
      kernel: [kh, kw, C, F].
      strides: s, the pixels of the output for each pixel of the inputs.
      pad_before: number of outputs left out before the first row and column.
      out_sizes: H', W'.

    Returns:
      [B, H', W', F].
    """
    products = jnp.einsum("klcf,nc->klnf", kernel, inputs.reshape(-1, inputs.shape[-1]))
    products = products.reshape(*kernel.shape[:2], *inputs.shape[:3], -1)  # [kh, kw, B, H, W, F]
    rows = _overlapped(products, 2, strides[0], pad_before[0], out_sizes[0])  # [kw, B, H', W, F]
    return _overlapped(rows, 2, strides[1], pad_before[1], out_sizes[1])


def _overlapped(pieces: Array, axis: int, stride: int, before: int, size: int) -> Array:
    """Compute y[j] = sum of p_t[i] over s i + t - before = j, for 0 <= j < size, along an axis of each p_t."""
    count, cells, phases = pieces[0].shape[axis], -(-size // stride), []
    for phase in range(stride):  # y[s m + phase]
        moved = []
        for tap, piece in enumerate(pieces):
            cell, rest = divmod(tap - before - phase, stride)
            if rest == 0:
                pads = [(0, 0, 0)] * piece.ndim
                pads[axis] = (cell, cells - count - cell, 0)
                moved.append(lax.pad(piece, jnp.zeros((), piece.dtype), pads))
        shape = (*pieces[0].shape[:axis], cells, *pieces[0].shape[axis + 1 :])
        phases.append(sum(moved) if moved else jnp.zeros(shape, pieces[0].dtype))
    outputs = jnp.stack(phases, axis + 1)
    outputs = outputs.reshape(*outputs.shape[:axis], cells * stride, *outputs.shape[axis + 2 :])
    return lax.slice_in_dim(outputs, 0, size, axis=axis)


def _forward(
    inputs: Array, kernel: Array, strides: Pair, pad_before: Pair, out_sizes: Pair
) -> tuple[Array, tuple[Array, Array]]:
    return col2im_convolution(inputs, kernel, strides, pad_before, out_sizes), (inputs, kernel)


def _backward(
    strides: Pair, pad_before: Pair, out_sizes: Pair, saved: tuple[Array, Array], grads: Array
) -> tuple[Array, Array]:
    inputs, kernel = saved
    del out_sizes
    rows = extract_patches(grads, kernel.shape[:2], strides, pad_before, inputs.shape[1:3])
    rows = rows.reshape(-1, rows.shape[-1])  # [B H W, kh kw F]
    turned = kernel.swapaxes(2, 3)
    # dw is the gradient of the product of these rows with the turned kernel.
    input_grads, pull = jax.vjp(lambda turned: tall_product(rows, turned.reshape(rows.shape[1], -1)), turned)
    (kernel_grads,) = pull(inputs.reshape(len(rows), -1))
    return input_grads.reshape(inputs.shape), kernel_grads.swapaxes(2, 3)


col2im_convolution.defvjp(_forward, _backward)
