"""Bilinear resizing as the networks of the scores expect it.

The same pictures, resized in another way, have another score (Parmar, Zhang and Zhu 2022, arXiv:2104.11222).
"""

import functools
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jaxgen.core.errors import UserError

# Coordinate u(i) of output pixel i among the input's pixels, for steps of s = input size / output size.
COORDINATES: dict[str, Callable[[np.ndarray, np.float32], np.ndarray]] = {
    # TensorFlow 1's ResizeBilinear with align_corners=False: the original FID (Heusel et al. 2017, arXiv:1706.08500).
    "tensorflow1": lambda i, step: i * step,
    # Centers of pixels are at halves, as in PyTorch, TensorFlow 2 and everywhere else.
    "half_pixel": lambda i, step: np.maximum((i + np.float32(0.5)) * step - np.float32(0.5), np.float32(0.0)),
}


def resize_bilinear(images: Array, size: int, *, method: str) -> Array:
    """Resize to a square without antialiasing: each output pixel is a mean of at most four input pixels.

    Along each axis y[i] = (1 - f) x[l] + f x[min(l + 1, n - 1)] with l = floor(u(i)) and f = u(i) - l.

    Args:
      images: [B, H, W, C], of any numeric type.
      size: height and width of the output, S.
      method: "tensorflow1" for u(i) = i n / S, as in the original FID code and torch-fidelity; "half_pixel" for u(i) =
        max((i + 1/2) n / S - 1/2, 0), as in pytorch-fid and EfficientNet-Lite.

    Returns:
      [B, S, S, C] float32, in the range of the input.

    Raises:
      UserError: the method is unknown, the images are not [B, H, W, C] with pixels, or the size is below 1.
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
    """Return [S, n], the weights of n input pixels in S output pixels, from float32 coordinates as in the originals."""
    step = np.float32(length) / np.float32(size)
    coordinates = COORDINATES[method](np.arange(size, dtype=np.float32), step)
    lower = np.minimum(coordinates.astype(np.int32), length - 1)
    fraction = coordinates - lower.astype(np.float32)
    matrix = np.zeros((size, length), np.float32)
    np.add.at(matrix, (np.arange(size), lower), 1 - fraction)
    np.add.at(matrix, (np.arange(size), np.minimum(lower + 1, length - 1)), fraction)
    return jnp.asarray(matrix)
