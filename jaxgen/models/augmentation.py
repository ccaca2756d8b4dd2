"""Random changes of images [B, H, W, C], each image by a key of its own: data augmentation, DiffAugment and ADA."""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxgen.core.errors import UserError

# ---------------------------------------------------------------- data augmentation


def random_turn(images: jax.Array, keys: jax.Array, *, degrees: float, scale: float) -> jax.Array:
    """Rotate each image [B, H, W, C] by up to `degrees` and scale it by up to a factor 1 +- `scale`, about its center.

    Each image has its own key [B]. Resampling is bilinear, and edges are repeated.
    """

    def turn(image: jax.Array, key: jax.Array) -> jax.Array:
        angle, factor = jax.random.uniform(key, (2,), minval=-1.0) * jnp.array([jnp.deg2rad(degrees), scale])
        cosine, sine = jnp.cos(angle) / (1 + factor), jnp.sin(angle) / (1 + factor)
        return _resample(image, jnp.array([[cosine, -sine], [sine, cosine]]), jnp.zeros(2), mode="nearest")

    return jax.vmap(turn)(images, keys)


def random_shift(images: jax.Array, keys: jax.Array, pixels: int) -> jax.Array:
    """Shift each image [B, H, W, C] by up to `pixels` in both directions, by its own key [B]; edges are repeated."""
    padded = jnp.pad(images, ((0, 0), (pixels, pixels), (pixels, pixels), (0, 0)), mode="edge")

    def shift(image: jax.Array, key: jax.Array) -> jax.Array:
        top, left = jax.random.randint(key, (2,), 0, 2 * pixels + 1)
        return jax.lax.dynamic_slice(image, (top, left, 0), images.shape[1:])

    return jax.vmap(shift)(padded, keys)


def random_mirror(images: jax.Array, keys: jax.Array) -> jax.Array:
    """Flip each image [B, H, W, C] horizontally with probability 1/2, by its own key [B]."""
    mirrored = jax.vmap(jax.random.bernoulli)(keys)[:, None, None, None]
    return jnp.where(mirrored, images[:, :, ::-1], images)


def jitter(images: jax.Array, keys: jax.Array, *, pixels: int, mirror: bool) -> jax.Array:
    """Apply `random_mirror`, if asked for, and `random_shift`: images with the same keys [B] change alike.

    This is the jitter of pix2pix (Isola et al. 2017, arXiv:1611.07004, appendix 6.2), which crops enlarged images.
    """
    pairs = jax.vmap(jax.random.split)(keys)  # [B, 2]
    images = random_mirror(images, pairs[:, 0]) if mirror else images
    return random_shift(images, pairs[:, 1], pixels) if pixels else images


def _resample(image: jax.Array, matrix: jax.Array, offset: jax.Array, *, mode: str) -> jax.Array:
    """Resample an image [H, W, C], bilinearly: pixel p (row, column; from the center) is at `matrix @ p + offset`."""
    height, width = image.shape[:2]
    center = jnp.array([(height - 1) / 2, (width - 1) / 2])
    places = jnp.stack(jnp.mgrid[:height, :width], -1) - center  # [H, W, 2]
    rows, columns = jnp.moveaxis(places @ matrix.T + offset + center, -1, 0)
    at = functools.partial(jax.scipy.ndimage.map_coordinates, coordinates=[rows, columns], order=1, mode=mode)
    return jax.vmap(at, in_axes=-1, out_axes=-1)(image)


# ---------------------------------------------------------------- augmentation for discriminators


class Augmentation(NamedTuple):
    """A differentiable change of real and generated images alike, before the discriminator."""

    apply: Callable[[jax.Array, jax.Array, jax.Array], jax.Array]
    """(images [B, H, W, C] in [-1, 1], keys [B], probability []) -> images."""
    target: float | None = None
    """The mean sign of the real logits that an adaptive probability aims at; None: the probability is 1."""
    adaptation: float = 0.0
    """How far the probability moves per step and image of the batch."""


def differentiable_augmentation(policy: Sequence[str] = ("colour", "translation", "cutout")) -> Augmentation:
    """Return DiffAugment (Zhao et al. 2020, arXiv:2006.10738, section 3.2): the given `POLICIES`, one after another.

    Raises:
      UserError: an unknown policy, or no policy.
    """
    unknown = [name for name in policy if name not in POLICIES]
    if unknown or not policy:
        raise UserError(
            f"An augmentation policy is made of {', '.join(POLICIES)}, not of {', '.join(unknown) or 'none'}."
        )

    def apply(images: jax.Array, keys: jax.Array, probability: jax.Array) -> jax.Array:
        del probability

        def one(image: jax.Array, key: jax.Array) -> jax.Array:
            for name, own_key in zip(policy, jax.random.split(key, len(policy)), strict=True):
                image = POLICIES[name](image, own_key)
            return image

        return jax.vmap(one)(images, keys)

    return Augmentation(apply)


def _color(image: jax.Array, key: jax.Array) -> jax.Array:
    """Change the color: brightness + U(-0.5, 0.5), saturation x U(0, 2), contrast x U(0.5, 1.5)."""
    brightness, saturation, contrast = jax.random.uniform(key, (3,))
    image = image + (brightness - 0.5)
    gray = jnp.mean(image, -1, keepdims=True)
    image = gray + (image - gray) * (2.0 * saturation)
    mean = jnp.mean(image)
    return mean + (image - mean) * (contrast + 0.5)


def _translation(image: jax.Array, key: jax.Array) -> jax.Array:
    """Shift by up to an eighth of the size; what is uncovered is 0 (mid-gray)."""
    most = [int(size / 8 + 0.5) for size in image.shape[:2]]
    row_key, column_key = jax.random.split(key)
    rows = jax.random.randint(row_key, (), -most[0], most[0] + 1)
    columns = jax.random.randint(column_key, (), -most[1], most[1] + 1)
    return _shift_axis(_shift_axis(image, rows, 0), columns, 1)


def _shift_axis(image: jax.Array, by: jax.Array, axis: int) -> jax.Array:
    """Return image[i + by] along an axis, zero outside: a product with a shifted identity, like its gradient."""
    place = jnp.arange(image.shape[axis])
    matrix = (place[:, None] + by == place[None, :]).astype(image.dtype)
    return jnp.moveaxis(jnp.tensordot(matrix, image, (1, axis)), 0, axis)


def _cutout(image: jax.Array, key: jax.Array) -> jax.Array:
    """Set to 0 (mid-gray) a square of half the size whose center lies anywhere in the image."""
    center = jnp.floor(jax.random.uniform(key, (2,)) * jnp.array(image.shape[:2]))
    inside = []
    for axis in (0, 1):
        half = image.shape[axis] // 4
        place = jnp.arange(image.shape[axis])
        inside.append((place >= center[axis] - half) & (place < center[axis] + half))
    return jnp.where((inside[0][:, None] & inside[1])[..., None], 0.0, image)


POLICIES: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = {
    "colour": _color,
    "translation": _translation,
    "cutout": _cutout,
}


def adaptive_augmentation(target: float = 0.6, images_to_one: int = 500_000) -> Augmentation:
    """Return ADA (Karras et al. 2020, arXiv:2006.06676, section 3 and appendix B): each change has a probability.

    The probability rises while the mean sign of the real logits is above `target` (the discriminator overfits) and
    falls while it is below, fast enough to go from 0 to 1 within `images_to_one` images. The changes are pixel blitting
    (flip, quarter turns, shifts), geometry (scale, rotation, stretch; one bilinear resampling with reflected edges,
    without the paper's wavelet filter) and color (brightness, contrast, inverted lightness, for RGB also hue and
    saturation).
    """

    def apply(images: jax.Array, keys: jax.Array, probability: jax.Array) -> jax.Array:
        return jax.vmap(lambda image, key: _ada(image, key, probability))(images, keys)

    return Augmentation(apply, target, 1.0 / images_to_one)


def _ada(image: jax.Array, key: jax.Array, probability: jax.Array) -> jax.Array:
    happens_key, geometry_key, color_key = jax.random.split(key, 3)
    happens = jax.random.uniform(happens_key, (11,)) < probability
    uniform_key, normal_key = jax.random.split(geometry_key)
    u, n = jax.random.uniform(uniform_key, (8,)), jax.random.normal(normal_key, (4,))

    def on(i: int, value: jax.Array, neutral: float) -> jax.Array:
        return jnp.where(happens[i], value, neutral)

    def rotation(angle: jax.Array) -> jax.Array:
        return jnp.array([[jnp.cos(angle), -jnp.sin(angle)], [jnp.sin(angle), jnp.cos(angle)]])

    # Matrices from places in the output to places in the input, in pixels from the center.
    size = jnp.array(image.shape[:2], jnp.float32)
    flip = jnp.diag(jnp.array([1.0, on(0, jnp.where(u[0] < 0.5, -1.0, 1.0), 1.0)]))
    quarters = rotation(on(1, jnp.floor(4.0 * u[1]) * jnp.pi / 2, 0.0))
    whole_pixels = on(2, jnp.round((2.0 * u[2:4] - 1.0) * 0.125 * size), 0.0)
    scale = on(3, jnp.exp2(0.2 * n[0]), 1.0)
    # A turn before and one after the stretch, each with probability 1 - sqrt(1 - p): together p.
    share = 1.0 - jnp.sqrt(1.0 - probability)
    before = rotation(jnp.where(u[4] < share, (2.0 * u[5] - 1.0) * jnp.pi, 0.0))
    after = rotation(jnp.where(u[6] < share, (2.0 * u[7] - 1.0) * jnp.pi, 0.0))
    stretch = on(4, jnp.exp2(0.2 * n[1]), 1.0)
    shift = on(5, 0.125 * n[2:4] * size, 0.0)
    matrix = flip @ quarters @ before @ jnp.diag(jnp.array([stretch, 1.0 / stretch])) @ after * scale
    image = _resample(image, matrix, whole_pixels + shift, mode="mirror")
    return _ada_color(image, color_key, happens[6:])


def _ada_color(image: jax.Array, key: jax.Array, happens: jax.Array) -> jax.Array:
    normal_key, uniform_key = jax.random.split(key)
    n, u = jax.random.normal(normal_key, (3,)), jax.random.uniform(uniform_key, (2,))
    image = image + jnp.where(happens[0], 0.2 * n[0], 0.0)
    image = image * jnp.where(happens[1], jnp.exp2(0.5 * n[1]), 1.0)
    channels = image.shape[-1]
    luma = jnp.full((channels,), channels**-0.5)  # the unit vector of gray
    mirrored = image - 2.0 * (image @ luma)[..., None] * luma
    image = jnp.where(happens[2] & (u[0] < 0.5), mirrored, image)
    if channels == 1:
        return image
    angle = jnp.where(happens[3], (2.0 * u[1] - 1.0) * jnp.pi, 0.0)
    image = image @ _turn_about(luma, angle).T
    gray = (image @ luma)[..., None] * luma
    return gray + (image - gray) * jnp.where(happens[4], jnp.exp2(n[2]), 1.0)


def _turn_about(axis: jax.Array, angle: jax.Array) -> jax.Array:
    """Return the rotation [3, 3] by `angle` about a unit vector [3] (Rodrigues)."""
    x, y, z = axis
    cross = jnp.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return jnp.eye(3) + jnp.sin(angle) * cross + (1.0 - jnp.cos(angle)) * (cross @ cross)
