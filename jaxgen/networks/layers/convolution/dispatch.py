"""Exact rewritings of strided and transposed convolutions that are fast on a CPU.

A convolution of few taps is one product of its patches with the kernel. Every other one becomes a convolution of stride
1: a strided one by space-to-depth of its input, a transposed one by depth-to-space of its output (the sub-pixel form of
Shi et al. 2016, arXiv:1609.05158), unless that multiplies by many zeros or takes large patches for few outputs, in
which case `col2im_convolution` is used. A convolution of stride 1 is then done by a discrete Fourier transform for
small maps where that takes much less arithmetic, by im2col for few channels, by `shift_sum_convolution` for few
features, and otherwise by `lax_vjp_convolution`.

Gradients of any order work in reverse mode; forward mode (`jax.jvp`) needs the plain form.
"""

import math
from collections.abc import Sequence

import jax.numpy as jnp
from jax import Array, lax

from jaxgen.networks.layers.convolution.col2im import col2im_convolution
from jaxgen.networks.layers.convolution.dft import Pair, dft_convolution, shortest_periods
from jaxgen.networks.layers.convolution.im2col import im2col_convolution
from jaxgen.networks.layers.convolution.lax_vjp import lax_vjp_convolution
from jaxgen.networks.layers.convolution.plain import transposed_pads
from jaxgen.networks.layers.convolution.shift_sum import shift_sum_convolution
from jaxgen.networks.layers.resampling import space_to_depth

Padding = str | Sequence[tuple[int, int]]


def strided_convolution(inputs: Array, kernel: Array, strides: Pair, padding: Padding) -> Array:
    """Do `lax.conv_general_dilated` by patches, or as a stride-1 convolution of the space-to-depth inputs.

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
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(sizes, kernel.shape[:2], strides, padding)
    pads = [tuple(pad) for pad in padding]
    out_sizes = tuple(
        (n + sum(pad) - k) // s + 1 for n, pad, k, s in zip(sizes, pads, kernel.shape, strides, strict=False)
    )
    shifts = tuple(_best_shift(k, s, pad[0], -1) for k, s, pad in zip(kernel.shape, strides, pads, strict=False))
    starts = tuple(pad[0] - shift for pad, shift in zip(pads, shifts, strict=True))
    if math.prod(last - first + 1 for first, last in map(_cells_met, kernel.shape, strides, starts)) <= FEW_TAPS:
        return im2col_convolution(inputs, kernel, strides, [pad[0] for pad in pads], out_sizes)
    if any(shifts):  # pad with zeros before the first row and column
        inputs = jnp.pad(inputs, ((0, 0), *((shift, 0) for shift in shifts), (0, 0)))
    kernel, offsets = _split_taps(kernel, strides, starts)  # [K, s, L, t, C, F]
    rows, row_step, columns, column_step, channels, features = kernel.shape
    kernel = kernel.transpose(0, 2, 1, 3, 4, 5).reshape(rows, columns, row_step * column_step * channels, features)
    return unit_convolution(_padded_space_to_depth(inputs, strides), kernel, offsets, out_sizes)


def transposed_convolution(inputs: Array, kernel: Array, strides: Pair, padding: Padding) -> Array:
    """Do `lax.conv_transpose` as a stride-1 convolution followed by depth-to-space, or by `col2im_convolution`.

    `col2im_convolution` is used if the stride-1 form would multiply by many zeros or take patches larger than the
    products.

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
    if isinstance(padding, str):
        pads = [transposed_pads(k, s, padding) for k, s in zip(kernel.shape, strides, strict=False)]
    else:
        pads = padding
    out_sizes = tuple(
        (n - 1) * s + 1 + sum(pad) - k + 1
        for n, pad, k, s in zip(inputs.shape[1:3], pads, kernel.shape, strides, strict=False)
    )
    starts = tuple(pad[0] - s + 1 for pad, s in zip(pads, strides, strict=True))
    # Compute as many more outputs before the first row and column.
    shifts = tuple(_best_shift(k, s, start, 1) for k, s, start in zip(kernel.shape, strides, starts, strict=False))
    starts = tuple(start + shift for start, shift in zip(starts, shifts, strict=True))
    cells_met = [last - first + 1 for first, last in map(_cells_met, kernel.shape, strides, starts)]
    taps, met = math.prod(kernel.shape[:2]), math.prod(cells_met)
    many_zeros = met * math.prod(strides) > MANY_ZEROS * taps
    # Compare the sizes at each position of the inputs: the products of all taps, or the patch for all phases.
    patches_are_larger = met <= FEW_TAPS and taps * kernel.shape[3] <= met * kernel.shape[2]
    if many_zeros or patches_are_larger:
        pad_before = tuple(k - 1 - pad[0] for k, pad in zip(kernel.shape, pads, strict=False))
        return col2im_convolution(inputs, jnp.flip(kernel, (0, 1)), strides, pad_before, out_sizes)
    kernel, offsets = _split_taps(kernel, strides, starts)  # [K, s, L, t, C, F], the phases in falling order
    rows, row_step, columns, column_step, channels, features = kernel.shape
    kernel = jnp.flip(kernel, (1, 3)).transpose(0, 2, 4, 1, 3, 5)
    kernel = kernel.reshape(rows, columns, channels, row_step * column_step * features)
    cells = tuple(-(-(shift + n) // s) for shift, n, s in zip(shifts, out_sizes, strides, strict=True))
    outputs = unit_convolution(inputs, kernel, offsets, cells)
    outputs = outputs.reshape(batch, *cells, row_step, column_step, features).transpose(0, 1, 3, 2, 4, 5)
    outputs = outputs.reshape(batch, cells[0] * row_step, cells[1] * column_step, features)
    return outputs[:, shifts[0] : shifts[0] + out_sizes[0], shifts[1] : shifts[1] + out_sizes[1]]


def upsampled_convolution(inputs: Array, kernel: Array) -> Array:
    """Apply an odd kernel, "SAME", to the map upsampled by 2 (nearest), as one transposed convolution of stride 2.

    Several of the k taps of an axis meet the same pixel: with u[t] = w[t] + w[t - 1] there are k + 1 taps on the
    dilated map, (k + 1) / 2 for each output, so that 3x3 takes 4 multiplications instead of 9.

    Args:
      inputs: [B, H, W, C].
      kernel: [k, l, C, F].

    Returns:
      [B, 2 H, 2 W, F].
    """
    pads = tuple(((k + 1) // 2, (k + 1) // 2) for k in kernel.shape[:2])
    return transposed_convolution(inputs, _summed_in_pairs(kernel), (2, 2), pads)


def pooled_convolution(inputs: Array, kernel: Array) -> Array:
    """Return the means over 2x2 windows of an odd kernel's outputs, "SAME".

    They are every second output of the kernel applied to the means of windows of the inputs:

    y[i] = sum_t w[t] S[2 i + t - (k - 1) / 2] with S[m] = (x[m] + x[m + 1]) / 2 on each axis, so that 3x3 takes 9
    multiplications instead of 36. This is one product of the patches of S with the kernel.

    Args:
      inputs: [B, H, W, C].
      kernel: [k, l, C, F].

    Returns:
      [B, H // 2, W // 2, F].
    """
    means = inputs
    for axis, k in zip((1, 2), kernel.shape, strict=False):
        means = 0.5 * _pair_sums(means, axis, zeros=(k + 1) // 2)  # its entry n is S[n - (k + 1) / 2]
    # Tap t of output i is entry 2 i + t + 1, so the first row and column are left out.
    return im2col_convolution(means, kernel, (2, 2), (-1, -1), tuple(n // 2 for n in inputs.shape[1:3]))


def _summed_in_pairs(kernel: Array) -> Array:
    """Return w[t] + w[t - 1] on both axes: [k, l, C, F] to [k + 1, l + 1, C, F]."""
    return _pair_sums(_pair_sums(kernel, 0, zeros=1), 1, zeros=1)


def _pair_sums(array: Array, axis: int, *, zeros: int) -> Array:
    """Return x[n] + x[n + 1] along an axis, padded by `zeros` zeros before and after."""
    pads = [(0, 0)] * array.ndim
    pads[axis] = (zeros, zeros)
    array = jnp.pad(array, pads)
    size = array.shape[axis] - 1
    return lax.slice_in_dim(array, 0, size, axis=axis) + lax.slice_in_dim(array, 1, size + 1, axis=axis)


def unit_convolution(inputs: Array, kernel: Array, offsets: Pair, out_sizes: Pair) -> Array:
    """Convolve with stride 1, y[i] = sum_q x[i + q] w[q - offset] for 0 <= i < out_size, with x zero outside.

    Args:
      inputs: [B, H, W, C].
      kernel: [K, L, C, F].
      offsets: the offset of the kernel's first tap on each axis.
      out_sizes: H', W'.

    Returns:
      [B, H', W', F].
    """
    if math.prod(kernel.shape[:2]) > FEW_TAPS and _transform_pays(inputs, kernel, offsets, out_sizes):
        return dft_convolution(inputs, kernel, offsets, out_sizes)
    return local_convolution(inputs, kernel, offsets, out_sizes)


def local_convolution(inputs: Array, kernel: Array, offsets: Pair, out_sizes: Pair) -> Array:
    """Do `unit_convolution` without the Fourier transform.

    Each output depends, to the bit, only on the inputs that its taps meet. (This holds on a CPU. Elsewhere XLA may
    choose a Fourier transform by itself.)
    """
    channels, features = kernel.shape[2:]
    few_taps = math.prod(kernel.shape[:2]) <= FEW_TAPS
    if not few_taps and features <= THIN:
        return shift_sum_convolution(inputs, kernel, offsets, out_sizes)
    if few_taps or channels <= THIN:
        return im2col_convolution(inputs, kernel, (1, 1), [-offset for offset in offsets], out_sizes)
    return lax_vjp_convolution(inputs, kernel, offsets, out_sizes)


def _transform_pays(inputs: Array, kernel: Array, offsets: Pair, out_sizes: Pair) -> bool:
    """Compare the multiplications for each example by the direct form and by the transform's three products."""
    channels, features = kernel.shape[2:]
    periods = shortest_periods(inputs.shape[1:3], kernel.shape[:2], offsets, out_sizes)
    direct = math.prod(out_sizes) * math.prod(kernel.shape)
    ends = math.prod(inputs.shape[1:3]) * channels + math.prod(out_sizes) * features
    return 1.5 * math.prod(periods) * (ends + channels * features) < TRANSFORM_PAYS * direct


MANY_ZEROS = 1.5  # ratio of numbers above which the sub-pixel kernel has too many zeros: 16 for 9, not 36 for 25
TRANSFORM_PAYS = 0.5  # use the transform if it needs less than this share of the multiplications
FEW_TAPS = 4  # im2col is used up to so many taps, where it is faster than XLA's convolution
THIN = 4  # im2col is also used up to so many channels, and `shift_sum_convolution` up to so many features


# ---------------------------------------------------------------- rearrangements


def _padded_space_to_depth(inputs: Array, steps: Pair) -> Array:
    """Map [B, H, W, C] to [B, ceil(H / s), ceil(W / t), s t C], padded with zeros at the end."""
    missing = [-size % step for size, step in zip(inputs.shape[1:3], steps, strict=True)]
    if any(missing):
        inputs = jnp.pad(inputs, ((0, 0), (0, missing[0]), (0, missing[1]), (0, 0)))
    return space_to_depth(inputs, steps)


def _split_taps(kernel: Array, steps: Pair, starts: Pair) -> tuple[Array, Pair]:
    """Write each tap t as t - start = s q + r: [kh, kw, C, F] to [K, s, L, t, C, F]; return the first q of each axis
    too.
    """
    pads, shape, offsets = [], [], []
    for size, step, start in zip(kernel.shape, steps, starts, strict=False):
        first, last = _cells_met(size, step, start)
        count = last - first + 1
        before = -start - step * first
        pads.append((before, count * step - before - size))
        shape += [count, step]
        offsets.append(first)
    kernel = jnp.pad(kernel, (*pads, (0, 0), (0, 0)))
    return kernel.reshape(*shape, *kernel.shape[2:]), tuple(offsets)


def _best_shift(size: int, step: int, start: int, sign: int) -> int:
    """Return the smallest shift of the start, in the direction of `sign`, with which the taps meet the fewest cells.

    Four taps of stride 2 that start within a cell meet three cells, and half of the products are with zeros.
    """

    def cells(shift: int) -> int:
        first, last = _cells_met(size, step, start + sign * shift)
        return last - first

    return min(range(step), key=cells)


def _cells_met(size: int, step: int, start: int) -> Pair:
    """Return the q of the first and of the last tap t = 0, ..., size - 1, where t - start = step q + r."""
    return -start // step, (size - 1 - start) // step
