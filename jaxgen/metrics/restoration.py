"""Similarity of restored images to their targets: L1, PSNR, SSIM and multi-scale SSIM, one value per image.

Images are [B, H, W, C] of any real numbers. Integers of every width, and float64, are computed in float64, for NumPy
and JAX arrays alike. Other floating-point numbers, and everything traced within `jax.jit`, are computed in float32
(float64 if enabled in jax). Images with values that are not finite have a score of nan.

`max_value` is the width of the range that values may have, not the largest of a batch: 255 for 0..255, 65535 for all of
uint16, 1 for [0, 1], 2 for [-1, 1]; integers with a wider range are refused. SSIM compares mean brightnesses by their
ratio, so it differs for one image in [-1, 1] and in 0..255: the figures of the literature are for values that start at
0.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from numpy.typing import ArrayLike

from jaxgen.core.errors import UserError
from jaxgen.core.per_example import row_means, rows
from jaxgen.core.types import AnyArray

# Wang et al. 2004: "an 11x11 circular-symmetric Gaussian weighting function, with standard deviation of 1.5 samples".
WINDOW_SIZE = 11
WINDOW = np.exp(-0.5 * (np.arange(-(WINDOW_SIZE // 2), WINDOW_SIZE // 2 + 1) / 1.5) ** 2)
WINDOW /= WINDOW.sum()
K1, K2 = 0.01, 0.03
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al. 2003, finest scale first
MS_SSIM_LEAST_SIZE = 2 ** (len(SCALE_WEIGHTS) - 1) * (WINDOW_SIZE - 1) + 1


def _of_any_type(metric: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """Compile a metric for images of every type: float64 if they need it, after the checks of its docstring."""
    compiled = jax.jit(metric)

    @functools.wraps(metric)
    def checked(images: ArrayLike, targets: ArrayLike, **ranges: float | jax.Array) -> jax.Array:
        if not (isinstance(images, jax.Array) and isinstance(targets, jax.Array)):
            # jax would narrow NumPy's wide types
            images, targets = np.asarray(images), np.asarray(targets)
        _check_images(images, targets)
        ranges = {name: _checked_range(value, images, targets) for name, value in ranges.items()}
        wide = jnp.float64 if any(_is_wide(x) for x in (images, targets)) else jnp.float32
        traced = any(isinstance(x, Tracer) for x in (images, targets, *ranges.values()))
        if traced or wide == jnp.float32:
            dtype = jnp.promote_types(jnp.promote_types(images.dtype, targets.dtype), jnp.float32)
            return compiled(images.astype(dtype), targets.astype(dtype), **ranges)
        with jax.enable_x64(True):
            return compiled(*(np.asarray(x).astype(np.float64) for x in (images, targets)), **ranges)

    return checked


def _is_wide(images: AnyArray) -> bool:
    return images.dtype == np.float64 or jnp.issubdtype(images.dtype, jnp.integer)


def _check_images(images: AnyArray, targets: AnyArray) -> None:
    if images.ndim != 4 or images.shape != targets.shape:
        raise UserError(
            f"Images {list(images.shape)} cannot be compared with targets {list(targets.shape)}: "
            "give two batches [B, H, W, C] of the same shape."
        )
    if images.size == 0:
        raise UserError(f"Images {list(images.shape)} have no pixels: give at least one image.")
    for array in (images, targets):
        real = jnp.issubdtype(array.dtype, jnp.floating) or array.dtype.kind in "biu"
        if not real:
            raise UserError(f"Images of type {array.dtype} cannot be compared: give real numbers.")


def _checked_range(max_value: float | jax.Array, *arrays: AnyArray) -> float | jax.Array:
    """Return the width as a float whose square does not overflow."""
    if isinstance(max_value, Tracer):
        return max_value.astype(jnp.promote_types(max_value.dtype, jnp.float32))
    max_value = float(max_value)
    if not 0.0 < max_value < float("inf"):
        raise UserError(f"max_value is the width of the range of values, above 0, not {max_value:g}.")
    if any(isinstance(array, Tracer) or not jnp.issubdtype(array.dtype, jnp.integer) for array in arrays):
        return max_value
    low, high = min(int(array.min()) for array in arrays), max(int(array.max()) for array in arrays)
    if high - low > max_value:
        raise UserError(
            f"The images hold integers from {low} to {high}, a wider range than max_value {max_value:g} says: give the "
            "width of the range that values may have (65535 for uint16)."
        )
    return max_value


@_of_any_type
def l1(images: jax.Array, targets: jax.Array) -> jax.Array:
    """Return the mean absolute difference of images [B, H, W, C] and targets of the same shape, [B].

    Raises:
      UserError: the images and targets are not two non-empty batches of one shape.
    """
    return row_means(jnp.abs(rows(images) - rows(targets)))


@_of_any_type
def psnr(images: jax.Array, targets: jax.Array, *, max_value: float) -> jax.Array:
    """Return the peak signal-to-noise ratio in decibels, 10 log10(max_value^2 / mean squared error), [B].

    Images and targets are [B, H, W, C]. The ratio is infinite for images that equal their targets.

    Raises:
      UserError: the images and targets are not two non-empty batches of one shape, or the range is not above 0 or too
        narrow.
    """
    return 10.0 * jnp.log10(max_value**2 / row_means((rows(images) - rows(targets)) ** 2))


@_of_any_type
def ssim(images: jax.Array, targets: jax.Array, *, max_value: float) -> jax.Array:
    """Return the structural similarity, in [-1, 1], 1 for equal images (Wang et al. 2004, doi:10.1109/TIP.2003.819861).

    This is equation 13, of the local means m, variances v and covariance c under an 11x11 Gaussian window of standard
    deviation 1.5, with C1 = (0.01 max_value)^2 and C2 = (0.03 max_value)^2:

        SSIM(x, y) = (2 m_x m_y + C1) (2 c_xy + C2) / ((m_x^2 + m_y^2 + C1) (v_x + v_y + C2))

    averaged over the windows that lie completely within the image, then over the channels. It equals scikit-image's
    `structural_similarity(..., gaussian_weights=True, use_sample_covariance=False)`.

    Args:
      images: [B, H, W, C], at least 11x11.
      targets: array of the same shape.
      max_value: width of the range of values: 255 for 0..255, 2 for [-1, 1].

    Returns:
      [B].

    Raises:
      UserError: the conditions of `psnr`, or images smaller than the window.
    """
    _check_size(images, WINDOW_SIZE, "SSIM")
    return jnp.mean(_similarity(images, targets, max_value)[0], -1)


@_of_any_type
def ms_ssim(images: jax.Array, targets: jax.Array, *, max_value: float) -> jax.Array:
    """Return the multi-scale structural similarity over 5 scales (Wang et al. 2003, doi:10.1109/ACSSC.2003.1292216).

    This is equation 7: the contrast-and-structure factor of SSIM, cs, at each scale but the coarsest, where all of SSIM
    counts:

        MS-SSIM(x, y) = SSIM_5^0.1333  prod_{i=1..4} cs_i^w_i,   w = 0.0448, 0.2856, 0.3001, 0.2363

    where each factor is averaged over a scale's windows, and 0 if that average is negative; the product is averaged
    over the channels. From one scale to the next, 2x2 pixels are averaged. At an odd size the last row or column is
    repeated, as in `tf.image.ssim_multiscale` (pytorch-msssim pads the image with zeros instead).

    Args:
      images: [B, H, W, C], at least 161x161.
      targets: array of the same shape.
      max_value: width of the range of values: 255 for 0..255, 2 for [-1, 1].

    Returns:
      [B], in [0, 1].

    Raises:
      UserError: the conditions of `psnr`, or images too small for 5 scales.
    """
    _check_size(images, MS_SSIM_LEAST_SIZE, f"MS-SSIM over {len(SCALE_WEIGHTS)} scales")
    factors = []
    for _ in SCALE_WEIGHTS[1:]:
        factors.append(_similarity(images, targets, max_value)[1])
        images, targets = _halve(images), _halve(targets)
    factors.append(_similarity(images, targets, max_value)[0])
    powers = [jnp.maximum(factor, 0.0) ** weight for factor, weight in zip(factors, SCALE_WEIGHTS, strict=True)]
    return jnp.mean(functools.reduce(jnp.multiply, powers), -1)


def _check_size(images: jax.Array, least: int, what: str) -> None:
    height, width = images.shape[1:3]
    if min(height, width) < least:
        raise UserError(f"{what} needs images of at least {least}x{least}, not {height}x{width}: use larger ones.")


def _similarity(images: jax.Array, targets: jax.Array, max_value: float) -> tuple[jax.Array, jax.Array]:
    """Return (SSIM, its contrast-and-structure factor) averaged over windows, [B, C], of images [B, H, W, C]."""
    c1, c2 = (K1 * max_value) ** 2, (K2 * max_value) ** 2
    # Variances do not depend on a shift of the values, but the rounding of E[x^2] - E[x]^2 does: shift them to about 0.
    shift_x, shift_y = (jnp.mean(x, (1, 2), keepdims=True) for x in (images, targets))  # [B, 1, 1, C]
    x, y = images - shift_x, targets - shift_y
    mean_x, mean_y = _window_mean(x), _window_mean(y)
    variances = _window_mean(x**2 + y**2) - mean_x**2 - mean_y**2
    variance_of_difference = _window_mean((x - y) ** 2) - (mean_x - mean_y) ** 2
    # (2 c_xy + C2) / (v_x + v_y + C2) with 2 c_xy = v_x + v_y - v_{x-y}, so that equal images give 1 exactly; and
    # (2 m_x m_y + C1) / (m_x^2 + m_y^2 + C1) likewise.
    structure = 1.0 - variance_of_difference / (variances + c2)
    mean_x, mean_y = mean_x + shift_x, mean_y + shift_y
    luminance = 1.0 - (mean_x - mean_y) ** 2 / (mean_x**2 + mean_y**2 + c1)
    return jnp.mean(luminance * structure, (1, 2)), jnp.mean(structure, (1, 2))


def _window_mean(values: jax.Array) -> jax.Array:
    """Return the mean under the Gaussian window wherever it fits: [B, H, W, C] to [B, H - 10, W - 10, C].

    It is a product with a banded matrix along each axis. At these sizes this is faster on a CPU than a convolution of
    one channel (6 times at 256x256) and than sums of shifted images, which also take seconds to compile.
    """
    for axis in (1, 2):
        size = values.shape[axis]
        band = sum(weight * np.eye(size, size - WINDOW_SIZE + 1, -start) for start, weight in enumerate(WINDOW))
        values = jnp.tensordot(values, np.asarray(band).astype(values.dtype), (axis, 0), precision="highest")
        values = jnp.moveaxis(values, -1, axis)
    return values


def _halve(images: jax.Array) -> jax.Array:
    """Return the means of 2x2 pixels: [B, H, W, C] to [B, ceil(H / 2), ceil(W / 2), C]."""
    batch, height, width, channels = images.shape
    images = jnp.pad(images, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return jnp.mean(images.reshape(batch, (height + 1) // 2, 2, (width + 1) // 2, 2, channels), (2, 4))
