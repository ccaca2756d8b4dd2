"""A convolution as one product of its patches with the kernel (im2col)."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import Array, lax

from jaxgen.networks.layers.convolution.dft import Pair


def im2col_convolution(
    inputs: Array, kernel: Array, strides: Pair, pad_before: Sequence[int], out_sizes: Pair
) -> Array:
    """Compute y[i] = sum_t x[s i + t - pad_before] w[t] for 0 <= i < out_size on each axis, with x zero outside.

    The patches [B H' W', kh kw C] take kh kw / (s t) times the memory of the inputs. They hold exactly the taps of the
    kernel: 9 for 3x3 with stride 2, where cells of space-to-depth hold 16.

    Args:
      inputs: [B, H, W, C].
      kernel: [kh, kw, C, F].
      strides: s, t.
      pad_before: number of zeros before the first row and column; below 0: number of rows and columns left out.
      out_sizes: H', W'.

    Returns:
      [B, H', W', F].
    """
    rows = extract_patches(inputs, kernel.shape[:2], strides, pad_before, out_sizes)
    outputs = tall_product(rows.reshape(-1, rows.shape[-1]), kernel.reshape(rows.shape[-1], -1))
    return outputs.reshape(*rows.shape[:3], -1)


def extract_patches(
    inputs: Array, kernel_sizes: Pair, strides: Pair, pad_before: Sequence[int], out_sizes: Pair
) -> Array:
    """Extract the patch that the kernel meets at each position, as one vector: [B, H, W, C] to [B, H', W', kh kw C].

    Patches are taken along the rows, then along the columns: kw + kh pieces are concatenated rather than kw kh.
    """
    batch, *sizes, channels = inputs.shape
    cells = [n + (k - 1) // s for n, k, s in zip(out_sizes, kernel_sizes, strides, strict=True)]
    afters = [m * s - n - before for m, s, n, before in zip(cells, strides, sizes, pad_before, strict=True)]
    # Rows and columns at the end that no patch meets are cut off by negative padding.
    pads = [(0, 0, 0), *((before, after, 0) for before, after in zip(pad_before, afters, strict=True)), (0, 0, 0)]
    inputs = lax.pad(inputs, jnp.zeros((), inputs.dtype), pads)
    inputs = inputs.reshape(batch, cells[0], strides[0], cells[1], strides[1], channels)
    taps = [[divmod(t, s) for t in range(k)] for k, s in zip(kernel_sizes, strides, strict=True)]
    columns = jnp.concatenate([inputs[:, :, :, p : p + out_sizes[1], o] for p, o in taps[1]], -1)
    return jnp.concatenate([columns[:, q : q + out_sizes[0], r] for q, r in taps[0]], -1)


@jax.custom_vjp
def tall_product(rows: Array, kernel: Array) -> Array:
    """Compute [N, K] @ [K, F] for many rows.

    If F is small compared to K, XLA's CPU code for the kernel's gradient is slow unless the transposed rows are in
    memory.
    """
    return rows @ kernel


def _tall_forward(rows: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return rows @ kernel, (rows, kernel)


def _tall_backward(saved: tuple[Array, Array], grads: Array) -> tuple[Array, Array]:
    rows, kernel = saved
    transposed = rows.T
    if kernel.shape[0] >= FEW_FEATURES * kernel.shape[1]:
        transposed = lax.optimization_barrier(transposed)
    return grads @ kernel.T, transposed @ grads


tall_product.defvjp(_tall_forward, _tall_backward)
FEW_FEATURES = 8  # there are few features if a patch has this many times as many numbers
