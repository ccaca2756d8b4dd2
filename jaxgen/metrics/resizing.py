"""Bilinear resizing as the networks behind the scores expect it.

The same pictures, resized in another way, have another score (Parmar, Zhang and Zhu 2022, arXiv:2104.11222).
"""

import functools
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jaxgen.core.errors import UserError

# Where output pixel i lies between the input's pixels, u(i), for steps of s = input size / output size.
COORDINATES: dict[str, Callable[[np.ndarray, np.float32], np.ndarray]] = {
    # TensorFlow 1's ResizeBilinear with align_corners=False: the original FID (Heusel et al. 2017, arXiv:1706.08500).
    "tensorflow1": lambda i, step: i * step,
    # Centers of pixels lie at halves, as in PyTorch, TensorFlow 2 and everywhere else.
    "half_pixel": lambda i, step: np.maximum((i + np.float32(0.5)) * step - np.float32(0.5), np.float32(0.0)),
}


def resize_bilinear(images: Array, size: int, *, method: str) -> Array:
    """Resizes to a square without antialiasing: each output pixel is a mean of at most four input pixels.

    Along each axis y[i] = (1 - f) x[l] + f x[min(l + 1, n - 1)] with l = floor(u(i)) and f = u(i) - l.

    Args:
      images: [B, H, W, C], of any type of number.
      size: height and width of the output, S.
      method: "tensorflow1" for u(i) = i n / S, which the original FID code and torch-fidelity have; "half_pixel" for
        u(i) = max((i + 1/2) n / S - 1/2, 0), which pytorch-fid and EfficientNet-Lite have.

    Returns:
      [B, S, S, C] float32, in the range of the input.

    Raises:
      UserError: an unknown method, no images [B, H, W, C] with pixels, or a size below 1.
    """
    shape = np.shape(images)
    if len(shape) != 4 or 0 in shape[1:] or size < 1:
        raise UserError(f"Images {list(shape)} cannot be resized to {size}x{size}: give [B, H, W, C] and a size.")
    if method not in COORDINATES:
        raise UserError(f"There is no way of resizing {method!r}: use {' or '.join(COORDINATES)}.")
    rows, columns = (_matrix(length, size, method) for length in images.shape[1:3])
    # The default precision of a GPU or TPU would round pixel values to about 3 digits.
    multiply = functools.partial(jnp.einsum, precision=lax.Precision.HIGHEST)
    return multiply("sh,bhwc->bswc", rows, multiply("tw,bhwc->bhtc", columns, jnp.asarray(images, jnp.float32)))


def _matrix(length: int, size: int, method: str) -> Array:
    """[S, n]: the weights of n input pixels in S output pixels, from coordinates in float32 as in the originals."""
    step = np.float32(length) / np.float32(size)
    coordinates = COORDINATES[method](np.arange(size, dtype=np.float32), step)
    lower = np.minimum(coordinates.astype(np.int32), length - 1)
    fraction = coordinates - lower.astype(np.float32)
    matrix = np.zeros((size, length), np.float32)
    np.add.at(matrix, (np.arange(size), lower), 1 - fraction)
    np.add.at(matrix, (np.arange(size), np.minimum(lower + 1, length - 1)), fraction)
    return jnp.asarray(matrix)
