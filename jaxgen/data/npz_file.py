"""Images in a .npz or .npy file: what `jaxgen sample` and `jaxgen augment` write, or any array of images."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from jaxgen.core.errors import UserError
from jaxgen.data.array_file import ONLY_ENTRY, open_arrays
from jaxgen.data.dataset import Dataset, unscale_images
from jaxgen.data.images import fit_arrays
from jaxgen.data.limits import MOST_CLASSES

IMAGE_ENTRIES = ("image", "images", "samples", ONLY_ENTRY)
LABEL_ENTRIES = ("label", "labels")
TOLERANCE = 1e-3
"""Tolerance by which floats may lie outside their range."""
_BLOCK_NUMBERS = 2**22


class StoredImages(NamedTuple):
    """The images of a file."""

    images: np.ndarray
    """uint8 [N, H, W, C]."""
    labels: np.ndarray | None
    """int32 [N]; None: the file has none."""
    values: str
    """Type and range of the file's numbers: "float32 from 0 to 1"."""


def load_npz(path: str | Path, *, image_size: int | None = None, channels: int | None = None) -> Dataset:
    """Return the images of a .npz or .npy file as a data set without a test split.

    Examples are `image` uint8 [H, W, C] and, if the file has labels, `label` int32. See `read_npz`.

    Args:
      image_size: side of the squares to which images are cropped and scaled; None: they stay as they are.
      channels: 1 (gray) or 3 (RGB); None: as stored.

    Raises:
      UserError: the conditions of `read_npz`, or labels of more classes than there are images.
    """
    path = Path(path).expanduser()
    images, labels, values = read_npz(path)
    split = {"image": fit_arrays(images, image_size, channels)}
    facts = (values,)
    if labels is None:
        return Dataset(path.stem, split, facts=facts)
    count = int(labels.max()) + 1
    if count > len(labels):
        raise UserError(
            f"{path} has labels up to {count - 1:,} for {len(labels):,} images: number the classes from 0 on, without "
            "gaps."
        )
    assets = {"class_names": [str(k) for k in range(count)]}
    return Dataset(path.stem, {**split, "label": labels}, assets=assets, facts=(*facts, f"{count} classes by label"))


def read_npz(path: Path) -> StoredImages:
    """Return the images of a file, and their labels if there are any.

    The images are the entry `image`, `images`, `samples` or `arr_0`, or the only array of a .npy file, [N, H, W, C] or
    [N, H, W]; their type decides their range, see `as_uint8_images`. The labels are the entry `label` or `labels`,
    integers from 0 to less than 100,000.

    Raises:
      UserError: the conditions of `open_arrays`, or there is no such entry, or it has another shape or range.
    """
    with open_arrays(path) as arrays:
        image, label = (
            next((n for n in entries if n in arrays.names), "") for entries in (IMAGE_ENTRIES, LABEL_ENTRIES)
        )
        if not image:
            has = ", ".join(arrays.names[:8]) or "no arrays at all"
            raise UserError(f"{path} has no images: it must have an entry {' or '.join(IMAGE_ENTRIES)}, and has {has}.")
        images = arrays.read(image)
        labels = arrays.read(label) if label else None
    images, values = as_uint8_images(images, str(path))
    return StoredImages(images, None if labels is None else _checked_labels(labels, len(images), path), values)


def as_uint8_images(images: np.ndarray, name: str) -> tuple[np.ndarray, str]:
    """Convert images [N, H, W, C] or [N, H, W] to uint8 [N, H, W, C]; also describe their type and range.

    | type | black and white |
    |---|---|
    | uint8, and other integers whose values are from 0 to 255 and not only 0 and 1 | 0 and 255 |
    | uint16 with values above 255 | 0 and 65535, of which the upper 8 bits are taken |
    | bool | False and True |
    | floats of 16, 32 or 64 bits, some below -0.001 | -1 and 1 |
    | floats, none below -0.001 | 0 and 1 |

    Floats may lie outside their range by 0.001, because of rounding.

    Raises:
      UserError: the shape, type or range is another; the message begins with `name`.
    """
    images = _checked_shape(images, name)
    if images.dtype == np.uint8:
        return images, "uint8 from 0 to 255"
    if images.dtype == np.bool_:
        return images.astype(np.uint8) * np.uint8(255), "bool, True is white"
    if images.dtype.kind == "f":
        return _from_floats(images, name)
    if images.dtype.kind in "iu":
        return _from_integers(images, name)
    raise UserError(f"{name} has images of type {images.dtype}: store uint8 (0..255) or floats in [-1, 1] or [0, 1].")


def _checked_shape(images: np.ndarray, name: str) -> np.ndarray:
    """Return the images as [N, H, W, C], or refuse another shape."""
    shape = list(images.shape)
    if images.ndim in (3, 4) and not images.size:
        raise UserError(f"{name} has no images: its array has the shape {shape}.")
    if images.ndim == 3 and shape[-1] in (1, 3):
        raise UserError(f"{name} has an array of shape {shape}, which looks like one image: store [1, H, W, C].")
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[-1] not in (1, 3):
        hint = " Move its second axis to the end." if images.ndim == 4 and shape[1] in (1, 3) else ""
        raise UserError(
            f"{name} has an array of shape {shape}: images are [N, H, W, C] with 1 (gray) or 3 (RGB) channels last."
            f"{hint}"
        )
    return images


def _from_floats(images: np.ndarray, name: str) -> tuple[np.ndarray, str]:
    with np.errstate(invalid="ignore"):
        low, high = float(images.min()), float(images.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        broken = next(i for i, image in enumerate(images) if not np.isfinite(image).all())
        raise UserError(
            f"{name} has images with values that are not finite (nan or inf), image {broken} first: mend it."
        )
    if not (low >= -1.0 - TOLERANCE and high <= 1.0 + TOLERANCE):
        raise UserError(
            f"{name} has {images.dtype.name} from {low:g} to {high:g}: images are uint8 (0..255), or floats in [-1, 1] "
            "or [0, 1]; scale them."
        )
    signed = low < -TOLERANCE
    converted = np.empty(images.shape, np.uint8)
    for rows in _blocks(images):
        block = images[rows].astype(np.float32)
        converted[rows] = unscale_images(block if signed else 2.0 * block - 1.0)
    return converted, f"{images.dtype.newbyteorder('=').name} from {-1 if signed else 0} to 1"


def _from_integers(images: np.ndarray, name: str) -> tuple[np.ndarray, str]:
    low, high = int(images.min()), int(images.max())
    kind = images.dtype.newbyteorder("=").name
    found = f"{name} has {kind} from {low:,} to {high:,}"
    if kind == "uint16":
        if high <= 255:
            raise UserError(f"{found}, but white is 65,535 in uint16: store what is from 0 to 255 as uint8.")
        converted = np.empty(images.shape, np.uint8)
        for rows in _blocks(images):
            converted[rows] = images[rows] >> 8
        return converted, "uint16 from 0 to 65535"
    if low < 0 or high > 255:
        raise UserError(f"{found}: images are uint8 (0..255), uint16 (0..65535), or floats in [-1, 1] or [0, 1].")
    if high <= 1:
        raise UserError(f"{found}: nothing says which is white; store bool, or uint8 with 255 for white.")
    return images.astype(np.uint8), f"{kind} from 0 to 255"


def _blocks(images: np.ndarray) -> Iterator[slice]:
    """Yield slices of images small enough that intermediate results take little memory."""
    each = max(1, _BLOCK_NUMBERS // max(1, images[0].size))
    for start in range(0, len(images), each):
        yield slice(start, start + each)


def _checked_labels(labels: np.ndarray, count: int, path: Path) -> np.ndarray:
    """Return the labels as int32 [N], or refuse other types, shapes and values."""
    if labels.shape != (count,) or labels.dtype.kind not in "iu":
        raise UserError(
            f"{path} must have one label of 0, 1, 2, ... for each of its {count:,} images, not "
            f"{labels.dtype.newbyteorder('=').name} {list(labels.shape)}."
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= MOST_CLASSES:
        raise UserError(
            f"{path} has labels from {low:,} to {high:,}: they must be one label of 0, 1, 2, ... for each of its "
            f"{count:,} images, below {MOST_CLASSES:,}."
        )
    return labels.astype(np.int32)


def save_arrays(file: IO[bytes], arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays by name to a .npz file, compressed."""
    np.savez_compressed(file, **arrays)  # pyright: ignore[reportArgumentType]  # NumPy's stub: the first is allow_pickle
