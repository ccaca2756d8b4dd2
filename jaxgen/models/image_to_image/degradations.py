"""Degradations of images, to be undone by a network: lost resolution, sharpness, parts or color, and added noise.

Images are [B, H, W, C] in [-1, 1]. Noise and masks belong to the example: each comes from the example's key.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the gray image (ITU-R BT.601)."""


class Degraded(NamedTuple):
    """What a degradation leaves of images."""

    given: jax.Array
    """[B, h, w, C'], the input of a network that restores them."""
    baseline: jax.Array
    """[B, H, W, C], the images restored without a network."""
    known: jax.Array | None = None
    """[B, H, W, 1], 1 where the baseline is the image itself; None: nowhere."""


class Degradation(NamedTuple):
    """One way of degrading images."""

    degrade: Callable[[jax.Array, jax.Array], Degraded]
    """(keys [B], images) -> what is left of them."""
    of_given: Callable[[jax.Array], Degraded]
    """given [B, h, w, C'] -> `Degraded`, for images that are already degraded."""
    take: Callable[[jax.Array, jax.Array], jax.Array] = lambda images, known: images
    """(images that are already degraded, mask [B, h, w, 1] of known pixels) -> given."""


def super_resolution(factor: int) -> Degradation:
    """Return the degradation that shrinks images to 1 / factor of their size by antialiased bicubic interpolation, in
    256 levels; the baseline enlarges them again by bicubic interpolation.

    The kernel is Keys' with a = -1/2, stretched by the factor for shrinking, as in Pillow's BICUBIC. (MATLAB's, on
    which most papers' figures are based, is the same.)
    """

    def of_given(given: jax.Array) -> Degraded:
        batch, height, width, channels = given.shape
        shape = batch, height * factor, width * factor, channels
        return Degraded(given, jnp.clip(jax.image.resize(given, shape, "cubic"), -1.0, 1.0))

    def degrade(keys: jax.Array, images: jax.Array) -> Degraded:
        del keys
        batch, height, width, channels = images.shape
        small = jax.image.resize(images, (batch, height // factor, width // factor, channels), "cubic")
        return of_given(in_levels(small))

    return Degradation(degrade, of_given)


def denoising(noise_level: float) -> Degradation:
    """Return the degradation that adds Gaussian noise of this standard deviation, in units of 0..255.

    The result is neither rounded nor clipped, as is usual.
    """

    def of_given(given: jax.Array) -> Degraded:
        return Degraded(given, jnp.clip(given, -1.0, 1.0))

    def degrade(keys: jax.Array, images: jax.Array) -> Degraded:
        noise = jax.vmap(lambda key: jax.random.normal(key, images.shape[1:]))(keys)
        return of_given(images + noise_level / 127.5 * noise)

    return Degradation(degrade, of_given)


def deblurring(sigma: float) -> Degradation:
    """Return the Gaussian blur of this standard deviation in pixels, with images mirrored at their borders.

    The result is rounded to 256 levels, as in a file: rounding loses most of what could be undone exactly.
    """

    def of_given(given: jax.Array) -> Degraded:
        return Degraded(given, given)

    def degrade(keys: jax.Array, images: jax.Array) -> Degraded:
        del keys
        rows, columns = (jnp.asarray(_blur_matrix(size, sigma)) for size in images.shape[1:3])
        return of_given(in_levels(jnp.einsum("yh,xw,bhwc->byxc", rows, columns, images)))

    return Degradation(degrade, of_given)


def inpainting(hidden: str = "box") -> Degradation:
    """Return the degradation that hides a part of the image; the baseline has the mean of the known pixels there.

    The input of the network has one more channel, 1 where the image is known.

    Args:
      hidden: "box": a rectangle anywhere, whose sides are 3 to 6 tenths of the image's; "pixels": 3 in 4 pixels.
    """

    def of_given(given: jax.Array) -> Degraded:
        images, known = given[..., :-1], given[..., -1:]
        mean = jnp.sum(images * known, (1, 2), keepdims=True) / jnp.maximum(jnp.sum(known, (1, 2), keepdims=True), 1.0)
        baseline = jnp.where(known > 0, images, mean)
        return Degraded(jnp.concatenate([baseline, known], -1), baseline, known)

    def degrade(keys: jax.Array, images: jax.Array) -> Degraded:
        height, width = images.shape[1:3]
        mask = {"box": _box, "pixels": _pixels}[hidden]
        known = jax.vmap(lambda key: mask(key, height, width))(keys)[..., None].astype(images.dtype)
        return of_given(_masked(images, known))

    return Degradation(degrade, of_given, _masked)


def colorization() -> Degradation:
    """Return the degradation that takes the color from RGB images; the baseline is gray."""

    def of_given(given: jax.Array) -> Degraded:
        return Degraded(given, jnp.repeat(given, 3, -1))

    def degrade(keys: jax.Array, images: jax.Array) -> Degraded:
        del keys
        return of_given(luma(images))

    return Degradation(degrade, of_given, lambda images, known: luma(images))


def luma(images: jax.Array) -> jax.Array:
    """Return the gray images [B, H, W, 1] of RGB ones, and gray ones as they are."""
    return images if images.shape[-1] == 1 else jnp.sum(images * jnp.asarray(LUMA), -1, keepdims=True)


def as_bytes(images: jax.Array) -> jax.Array:
    """Convert images in [-1, 1] to the 256 levels 0..255, as float32."""
    return jnp.round(jnp.clip((images + 1.0) * 127.5, 0.0, 255.0))


def in_levels(images: jax.Array) -> jax.Array:
    """Round images in [-1, 1] to the nearest of the 256 levels in [-1, 1]."""
    return as_bytes(images) / 127.5 - 1.0


def _box(key: jax.Array, height: int, width: int) -> jax.Array:
    """Return bool [H, W], False in a random rectangle."""
    shares = jax.random.uniform(key, (4,))
    sides = 0.3 + 0.3 * shares[:2]
    firsts = shares[2:] * (1.0 - sides)
    y, x = ((jnp.arange(size) + 0.5) / size for size in (height, width))
    inside = (
        (place >= first) & (place < first + side) for place, first, side in zip((y, x), firsts, sides, strict=True)
    )
    rows, columns = inside
    return ~(rows[:, None] & columns)


def _pixels(key: jax.Array, height: int, width: int) -> jax.Array:
    return jax.random.bernoulli(key, 0.25, (height, width))


def _masked(images: jax.Array, known: jax.Array) -> jax.Array:
    """Return images with 0 where they are unknown and the mask as the last channel, [B, H, W, C + 1]."""
    return jnp.concatenate([images * known, known], -1)


def _blur_matrix(size: int, sigma: float) -> np.ndarray:
    """Return float32 [size, size], the weight of each pixel in each blurred one, with mirrored borders."""
    reach = int(np.ceil(4 * sigma))
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    places = (np.arange(size)[:, None] + offsets) % (2 * size)
    matrix = np.zeros((size, size))
    np.add.at(matrix, (np.arange(size)[:, None], np.minimum(places, 2 * size - 1 - places)), weights / weights.sum())
    return matrix.astype(np.float32)
