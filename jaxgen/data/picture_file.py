"""Reading a picture file: opened only as one of the supported formats, its size checked before it is decoded.

However many threads read, the pictures in flight take at most half the limit of `jaxgen.data.limits`, or there is only
one.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jaxgen.core.errors import UserError
from jaxgen.data.images import (
    IMAGE_FORMATS,
    decoded_bytes,
    has_known_range,
    to_array,
    to_scaled_array,
    to_whole_array,
    working_bytes,
)
from jaxgen.data.limits import check_file, check_memory, limit_bytes

if TYPE_CHECKING:
    from PIL import Image

DRAFT_PIXELS = 2**25
"""JPEGs of more pixels are decoded at 1/2, 1/4 or 1/8 of their size if that is at least twice the size needed."""
_OPENING = threading.Lock()


def read_image(path: Path, image_size: int, channels: int) -> np.ndarray:
    """Read a file (the first frame of an animation) as uint8 [image_size, image_size, channels]."""
    with open_picture(path) as picture, _decoded(picture, path, 0, image_size):
        return to_array(picture, image_size, channels)


def read_picture(path: Path, channels: int) -> np.ndarray:
    """Read a file (the first frame of an animation) at its own size as uint8 [H, W, channels]."""
    with open_picture(path) as picture, _decoded(picture, path, channels):
        return to_whole_array(picture, channels)


def read_scaled(path: Path, longest: int) -> np.ndarray:
    """Read a file as uint8 [H, W, 3], scaled down if a side is longer than `longest`."""
    with open_picture(path) as picture:
        smaller = longest < max(picture.size)
        with _decoded(picture, path, 0 if smaller else 3, longest if smaller else None):
            return to_scaled_array(picture, longest)


@contextlib.contextmanager
def open_picture(path: Path) -> Iterator[Image.Image]:
    """Open the picture in a file without decoding it.

    Raises:
      UserError: the format is not in `IMAGE_FORMATS`, the picture is larger than the limit, or anything goes wrong in
        the block that uses it.
    """
    try:
        check_memory(check_file(path), f"The image file {path}")
        with _open(path) as picture:
            if min(picture.size) < 1:
                raise ValueError("it has no pixels")
            if not has_known_range(picture):
                raise ValueError("its numbers are of 32 bits, of no known range; save it with 8 or 16")
            check_memory(
                decoded_bytes(picture), f"The image {path} of {picture.size[0]:,} x {picture.size[1]:,} pixels"
            )
            yield picture
    except UserError:
        raise
    except Exception as error:  # Pillow raises OSError, SyntaxError, ValueError, struct.error, ...
        raise UserError(f"The image file {path} cannot be read ({_reason(error)}): mend or remove it.") from error


def _open(path: Path) -> Image.Image:
    """Open a picture without Pillow's own check of sizes while the header is read, since ours follows."""
    from PIL import Image

    with _OPENING:
        formats = _formats()
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(path, formats=formats)
        finally:
            Image.MAX_IMAGE_PIXELS = before


@functools.cache
def _formats() -> tuple[str, ...]:
    """Return the supported formats that this Pillow has."""
    from PIL import Image

    Image.init()
    return tuple(name for name in dict.fromkeys(IMAGE_FORMATS.values()) if name in Image.OPEN)


def _reason(error: Exception) -> str:
    from PIL import UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        return f"it is none of {', '.join(_formats())}"
    return " ".join(str(error).split()) or type(error).__name__


@contextlib.contextmanager
def _decoded(picture: Image.Image, path: Path, channels: int, size: int | None = None) -> Iterator[None]:
    """Decode a picture, within what all threads together may have in flight.

    `channels` is the number of channels if a full-size array is made of it, 0 if only a small one is; `size` is the
    size that will be needed.
    """
    if size is not None and picture.size[0] * picture.size[1] > DRAFT_PIXELS:
        picture.draft(None, (2 * size, 2 * size))
    needed = decoded_bytes(picture) + channels * picture.size[0] * picture.size[1]
    check_memory(needed, f"The image {path} of {picture.size[0]:,} x {picture.size[1]:,} pixels")
    with _IN_FLIGHT.reserved(needed + working_bytes(picture)):
        try:
            picture.load()
            yield
        finally:
            picture.close()  # free its memory before it is given to others


class _InFlight:
    """Bytes of the pictures that are being decoded by all threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._bytes = 0

    @contextlib.contextmanager
    def reserved(self, count: int) -> Iterator[None]:
        """Wait until there is room for so many bytes; a picture larger than all the room is decoded alone."""
        most = limit_bytes() // 2
        with self._changed:
            self._changed.wait_for(lambda: self._bytes == 0 or self._bytes + count <= most)
            self._bytes += count
        try:
            yield
        finally:
            with self._changed:
                self._bytes -= count
                self._changed.notify_all()


_IN_FLIGHT = _InFlight()
