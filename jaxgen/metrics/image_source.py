"""Sources of images by number, which can be compared with each other."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgen.core.errors import UserError
from jaxgen.data.array_file import ARRAY_ENDINGS
from jaxgen.data.dataset import Dataset, Split, length, pick_examples, prepared, unscale_images
from jaxgen.data.embedded_sets import EMBEDDED
from jaxgen.data.folder_scan import find_images
from jaxgen.data.image_folder import FolderSource, common_channels, common_size
from jaxgen.data.images import fit_arrays
from jaxgen.data.loading import load
from jaxgen.data.npz_file import as_uint8_images, read_npz


class ImageSource(NamedTuple):
    """Images that can be read by number, uint8 in 0..255."""

    name: str
    count: int  # pyright: ignore[reportIncompatibleMethodOverride]  # hides tuple.count, which is not used
    shape: tuple[int, int, int]
    """Shape of one image, (H, W, C)."""
    read: Callable[[int, int], np.ndarray]
    """Function from (start, stop) to uint8 [stop - start, H, W, C]; the same numbers always return the same images."""
    labels: np.ndarray | None = None
    """[count], the intended classes of the images; None: unknown."""


def in_blocks(source: ImageSource, size: int) -> Iterator[np.ndarray]:
    """Yield the images of a source in order, `size` at a time; the last block may be smaller."""
    for start in range(0, source.count, size):
        yield source.read(start, min(start + size, source.count))


def of_split(data: Dataset, split: Split, name: str, *, at_most: int | None = None, seed: int = 0) -> ImageSource:
    """Return the images of a split as a model sees them; of more than `at_most`, a random choice by the seed."""
    total = length(split)
    chosen = np.arange(total)
    if at_most is not None and total > at_most:
        chosen = np.sort(np.random.default_rng(seed).permutation(total)[:at_most])

    def read(start: int, stop: int) -> np.ndarray:
        rows = chosen[start:stop]
        return unscale_images(prepared(data, pick_examples(split, rows))["image"])

    shape = read(0, 1).shape[1:]
    return ImageSource(name, len(chosen), tuple(shape), read)


def of_data(data: Dataset, split: str | None = None, *, at_most: int | None = None, seed: int = 0) -> ImageSource:
    """Return the images of a data set: of `split`, "test" or "train"; None: the held-out ones if there are any.

    Raises:
      UserError: there is no such split, or the examples are not images.
    """
    if data.kind != "image":
        raise UserError(f"{data.name} is {data.kind}, not images.")
    split = split or ("train" if data.test is None else "test")
    if split not in ("train", "test"):
        raise UserError(f"--split is train or test, not {split!r}.")
    examples = data.train if split == "train" else data.test
    if examples is None:
        raise UserError(f"{data.name} has no test split: use --split train.")
    return of_split(data, examples, f"{data.name} images ({split} split)", at_most=at_most, seed=seed)


def of_path(path: Path, *, image_size: int | None = None, split: str | None = None) -> ImageSource:
    """Return the images of a folder, of a .npz or .npy file (see `jaxgen.data.npz_file`), or of an embedded set.

    Args:
      split: split of an embedded set, "test" or "train"; None: the held-out images if there are any.
      image_size: side of the squares to which images are cropped and scaled; None: they must have one size.

    Raises:
      UserError: the path has no images, or images of several sizes or of an unknown range.
    """
    path = Path(path)
    if str(path) in EMBEDDED and not path.exists():
        return of_data(load(str(path), image_size=image_size), split)
    if path.suffix.lower() in ARRAY_ENDINGS:
        images, labels, values = read_npz(path)
        name = str(path) if values.startswith("uint8") else f"{path} ({values})"
        return of_array(fit_arrays(images, image_size, None), name)._replace(labels=labels)
    if not path.is_dir():
        raise UserError(
            f"{path} is neither a folder of images, a .npz or .npy file nor an embedded set: check the path."
        )
    paths = find_images(path)
    folder = FolderSource(paths, {}, image_size or common_size(paths), common_channels(paths))

    def read(start: int, stop: int) -> np.ndarray:
        return np.stack([folder[i]["image"] for i in range(start, stop)])

    return ImageSource(str(path), len(paths), tuple(read(0, 1).shape[1:]), read)


def of_array(images: np.ndarray, name: str) -> ImageSource:
    """Return images [N, H, W, C] or [N, H, W], of a type that `jaxgen.data.npz_file.as_uint8_images` supports.

    Raises:
      UserError: the shape or range is not supported.
    """
    images, _ = as_uint8_images(images, name)
    return ImageSource(name, len(images), images.shape[1:], lambda start, stop: images[start:stop])


def as_rgb(source: ImageSource) -> ImageSource:
    """Return a gray source as RGB, its channel repeated and its name saying so; return any other source unchanged."""
    if source.shape[-1] != 1:
        return source

    def read(start: int, stop: int) -> np.ndarray:
        return np.repeat(source.read(start, stop), 3, axis=-1)

    return source._replace(name=f"{source.name} (gray, repeated to RGB)", shape=(*source.shape[:-1], 3), read=read)


def with_equal_channels(real: ImageSource, generated: ImageSource) -> tuple[ImageSource, ImageSource]:
    """Return both sources unchanged, or both as RGB if only one of them is gray."""
    if real.shape[-1] == generated.shape[-1]:
        return real, generated
    return as_rgb(real), as_rgb(generated)


def first(source: ImageSource, count: int | None) -> ImageSource:
    """Return the first `count` images of a source; all of them if None or fewer."""
    if count is None or count >= source.count:
        return source
    return source._replace(count=count, labels=None if source.labels is None else source.labels[:count])
