"""Pictures to uint8 arrays of one size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

IMAGE_FORMATS: dict[str, str] = {
    ".png": "PNG",
    ".apng": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".webp": "WEBP",
    ".avif": "AVIF",
    ".gif": "GIF",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".ppm": "PPM",
    ".pgm": "PPM",
    ".pbm": "PPM",
    ".pnm": "PPM",
    ".jp2": "JPEG2000",
    ".j2k": "JPEG2000",
}
"""The endings of image files, in lower case, and Pillow's names of their formats: those that Pillow reads by itself,
without another program, and knows by their first bytes."""


def to_array(picture: Image.Image, size: int, channels: int) -> np.ndarray:
    """A Pillow picture as uint8 [size, size, channels], channels 1 (grey) or 3 (RGB).

    The shorter side is scaled to `size` (up or down) and the middle cut out; see `to_whole_array` for the rest.
    """
    return _fit(_plain(picture), size, channels)


def to_whole_array(picture: Image.Image, channels: int) -> np.ndarray:
    """A Pillow picture at its own size as uint8 [H, W, channels], channels 1 (grey) or 3 (RGB).

    Transparent parts become white, the orientation that cameras note in the file is applied.
    """
    picture = _plain(picture).convert("L" if channels == 1 else "RGB")
    array = np.asarray(picture)
    return array[..., None] if channels == 1 else array


def _plain(picture: Image.Image) -> Image.Image:
    """Upright, of 8 bits, and not transparent."""
    from PIL import Image, ImageOps

    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I;16"):  # Pillow would clip 16 bits at 255
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return picture


def resize_array(image: np.ndarray, size: int, channels: int) -> np.ndarray:
    """uint8 [H, W, 1 or 3] to [size, size, channels], as `to_array`; the array itself where nothing changes."""
    if image.shape == (size, size, channels):
        return image
    from PIL import Image

    return _fit(Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image), size, channels)


def resize_arrays(images: np.ndarray, size: int, channels: int) -> np.ndarray:
    """uint8 [N, H, W, 1 or 3] to [N, size, size, channels], each as `resize_array`."""
    if images.shape[1:] == (size, size, channels):
        return images
    return np.stack([resize_array(image, size, channels) for image in images])


def megabytes(count: int, size: int, channels: int) -> float:
    """What `count` pictures take as uint8, in units of 2**20 bytes."""
    return count * size * size * channels / 2**20


def _fit(picture: Image.Image, size: int, channels: int) -> np.ndarray:
    from PIL import Image, ImageOps

    picture = picture.convert("L" if channels == 1 else "RGB")
    if picture.size != (size, size):
        picture = ImageOps.fit(picture, (size, size), Image.Resampling.BICUBIC)
    array = np.asarray(picture)
    return array[..., None] if channels == 1 else array
