"""Conversion of pictures to uint8 arrays of one size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from jaxgen.data.limits import check_memory

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
"""Endings of image files, in lower case, and Pillow's names of their formats: those that Pillow reads without another
program and recognizes by their first bytes."""

LARGE_PIXELS = 2**26
"""Pictures of more pixels are turned or converted strip by strip, without a second copy in memory."""
STRIP_PIXELS = 2**22

_PIXEL_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}
"""Bytes of a pixel in Pillow's memory by mode; 4 in all others."""
_DECODER_BYTES = {"WEBP": 12, "AVIF": 12, "TIFF": 12, "JPEG2000": 20}
"""Additional bytes of a pixel, at most, while it is decoded: frames and strips that the libraries keep."""
_PROGRESSIVE_BYTES = 6
"""Bytes of a pixel for the coefficients of a progressive JPEG, all of which are kept."""


def has_known_range(picture: Image.Image) -> bool:
    """Return whether the value of white is known: not for floats, nor for 32-bit integers unless they hold 16 bits."""
    return picture.mode != "F" and (picture.mode != "I" or picture.format in ("PNG", "PPM"))


def decoded_bytes(picture: Image.Image) -> int:
    """Return the bytes that decoding a Pillow picture takes, once its header has been read."""
    each = _PIXEL_BYTES.get(picture.mode, 4) + _DECODER_BYTES.get(picture.format or "", 0)
    if picture.format == "JPEG" and picture.info.get("progressive"):
        each += _PROGRESSIVE_BYTES
    return picture.size[0] * picture.size[1] * each


def working_bytes(picture: Image.Image) -> int:
    """Return the additional bytes for making an array of a decoded picture: its copies as it is converted."""
    copies = 2 if picture.mode in ("RGBA", "LA", "PA", "P") or "transparency" in picture.info else 1
    return 4 * copies * min(picture.size[0] * picture.size[1], STRIP_PIXELS if _is_large(picture) else LARGE_PIXELS)


def to_array(picture: Image.Image, size: int, channels: int) -> np.ndarray:
    """Convert a Pillow picture to uint8 [size, size, channels], channels 1 (gray) or 3 (RGB).

    The shorter side is scaled to `size` (up or down) and the center cropped; see `to_whole_array` for the rest.
    """
    turn = _turn(picture)
    if not _is_large(picture):
        return _fit(_opaque(picture if turn is None else picture.transpose(turn)), size, channels)
    if turn is None and picture.mode == _mode(channels) and "transparency" not in picture.info:
        return _fit(picture, size, channels)
    width, height = _upright_size(picture)
    side = min(width, height)
    left, top = (width - side) * 0.5, (height - side) * 0.5
    return _resampled(picture, (size, size), (left, top, left + side, top + side), channels)


def to_whole_array(picture: Image.Image, channels: int) -> np.ndarray:
    """Convert a Pillow picture at its own size to uint8 [H, W, channels], channels 1 (gray) or 3 (RGB).

    Transparent parts become white, the orientation noted by the camera is applied, and the upper 8 of 16 bits are
    taken. Color profiles are ignored.
    """
    width, height = _upright_size(picture)
    array = np.empty((height, width, channels), np.uint8)
    for top, strip in _strips(picture, channels):
        array[top : top + strip.size[1]] = np.asarray(strip).reshape(-1, width, channels)
    return array


def to_scaled_array(picture: Image.Image, longest: int) -> np.ndarray:
    """Convert a Pillow picture to uint8 [H, W, 3], scaled down if a side is longer than `longest`."""
    width, height = _upright_size(picture)
    scale = longest / max(width, height)
    if scale >= 1.0:
        return to_whole_array(picture, 3)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    if _is_large(picture):
        return _resampled(picture, size, (0, 0, width, height), 3)
    from PIL import Image

    return np.asarray(Image.fromarray(to_whole_array(picture, 3)).resize(size, Image.Resampling.BICUBIC))


def _mode(channels: int) -> str:
    return "L" if channels == 1 else "RGB"


def _is_large(picture: Image.Image) -> bool:
    return picture.size[0] * picture.size[1] > LARGE_PIXELS


def _turn(picture: Image.Image) -> Image.Transpose | None:
    """Return Pillow's name of the transposition that makes a picture upright, by its camera's note; None: no turn."""
    from PIL import Image

    methods = Image.Transpose
    turns = {
        2: methods.FLIP_LEFT_RIGHT,
        3: methods.ROTATE_180,
        4: methods.FLIP_TOP_BOTTOM,
        5: methods.TRANSPOSE,
        6: methods.ROTATE_270,
        7: methods.TRANSVERSE,
        8: methods.ROTATE_90,
    }
    return turns.get(picture.getexif().get(0x0112, 1))


def _opaque(picture: Image.Image) -> Image.Image:
    """Convert a picture to 8 bits, and to white where it is transparent."""
    from PIL import Image

    if picture.mode == "I" or picture.mode.startswith("I;"):  # Pillow would clip them at 255
        picture = _of_8_bits(picture)
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return picture


def _of_8_bits(picture: Image.Image) -> Image.Image:
    """Return the upper 8 of 16 bits, with white for the one shade that is transparent."""
    from PIL import Image

    values = np.asarray(picture)
    shades = (values >> 8).astype(np.uint8)
    if isinstance(clear := picture.info.get("transparency"), int):
        shades[values == clear] = 255
    return Image.fromarray(shades)


def _strips(picture: Image.Image, channels: int) -> Iterator[tuple[int, Image.Image]]:
    """Yield (first row, strip of the upright picture as 8-bit opaque L or RGB), from top to bottom."""
    turn = _turn(picture)
    width, height = _upright_size(picture)
    rows = max(1, STRIP_PIXELS // width)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        strip = picture.crop(_stored_rows(picture.size, turn, top, bottom))
        strip = strip if turn is None else strip.transpose(turn)
        yield top, _opaque(strip).convert(_mode(channels))


def _upright_size(picture: Image.Image) -> tuple[int, int]:
    width, height = picture.size
    return (height, width) if _swaps_sides(_turn(picture)) else (width, height)


def _stored_rows(
    size: tuple[int, int], turn: Image.Transpose | None, top: int, bottom: int
) -> tuple[int, int, int, int]:
    """Return the box in the stored picture, of `size`, that holds the rows of the upright picture."""
    from PIL import Image

    methods, (width, height) = Image.Transpose, size
    backwards = turn in (methods.ROTATE_180, methods.FLIP_TOP_BOTTOM, methods.TRANSVERSE, methods.ROTATE_90)
    if _swaps_sides(turn):
        return (width - bottom, 0, width - top, height) if backwards else (top, 0, bottom, height)
    return (0, height - bottom, width, height - top) if backwards else (0, top, width, bottom)


def _swaps_sides(turn: Image.Transpose | None) -> bool:
    from PIL import Image

    methods = Image.Transpose
    return turn in (methods.TRANSPOSE, methods.ROTATE_270, methods.TRANSVERSE, methods.ROTATE_90)


def _resampled(
    picture: Image.Image, size: tuple[int, int], box: tuple[float, float, float, float], channels: int
) -> np.ndarray:
    """Return the part `box` of the upright picture at another size, uint8 [H, W, channels].

    This equals `Image.resize` of the whole picture but for rounding: columns may be processed before rows.
    """
    from PIL import Image

    bicubic = Image.Resampling.BICUBIC
    narrow = Image.new(_mode(channels), (size[0], _upright_size(picture)[1]))
    for top, strip in _strips(picture, channels):
        rows = strip.size[1]
        narrow.paste(strip.resize((size[0], rows), bicubic, box=(box[0], 0, box[2], rows)), (0, top))
    array = np.asarray(narrow.resize(size, bicubic, box=(0, box[1], size[0], box[3])))
    return array.reshape(*size[::-1], channels)


def resize_array(image: np.ndarray, size: int, channels: int) -> np.ndarray:
    """Resize uint8 [H, W, 1 or 3] to [size, size, channels] as in `to_array`; the same array if nothing changes."""
    if image.shape == (size, size, channels):
        return image
    from PIL import Image

    return _fit(Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image), size, channels)


def resize_arrays(images: np.ndarray, size: int, channels: int) -> np.ndarray:
    """Resize uint8 [N, H, W, 1 or 3] to [N, size, size, channels], each as in `resize_array`."""
    if images.shape[1:] == (size, size, channels):
        return images
    resized = np.empty((len(images), size, size, channels), np.uint8)
    for target, image in zip(resized, images, strict=True):
        target[...] = resize_array(image, size, channels)
    return resized


def fit_arrays(images: np.ndarray, size: int | None, channels: int | None) -> np.ndarray:
    """Convert uint8 [N, H, W, 1 or 3] to another size and number of channels as in `resize_arrays`; None: unchanged.

    Raises:
      UserError: the result would take more than the limit of `jaxgen.data.limits`.
    """
    height, width, stored = images.shape[1:]
    wanted = channels or stored
    if size is not None:
        check_memory(len(images) * size * size * wanted, f"{len(images):,} images of {size} x {size} pixels")
        return resize_arrays(images, size, wanted)
    if wanted == stored:
        return images
    if stored == 1:
        return np.repeat(images, wanted, axis=-1)
    from PIL import Image

    gray = np.empty((len(images), height, width, 1), np.uint8)
    for target, image in zip(gray, images, strict=True):
        target[..., 0] = np.asarray(Image.fromarray(image).convert("L"))
    return gray


def megabytes(count: int, size: int, channels: int) -> float:
    """Return the size of `count` pictures as uint8, in units of 2**20 bytes."""
    return count * size * size * channels / 2**20


def _fit(picture: Image.Image, size: int, channels: int) -> np.ndarray:
    from PIL import Image, ImageOps

    if picture.mode != _mode(channels):
        picture = picture.convert(_mode(channels))
    if picture.size != (size, size):
        picture = ImageOps.fit(picture, (size, size), Image.Resampling.BICUBIC)
    array = np.asarray(picture)
    return array[..., None] if channels == 1 else array
