"""Any folder of pictures as a data set."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from jaxgen.data.dataset import Dataset, Split
from jaxgen.data.images import megabytes
from jaxgen.data.picture_file import open_picture, read_image
from jaxgen.errors import UserError

EXTENSIONS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")
HELD_OUT_FROM = 100
"""Folders with fewer pictures than this give no test split unless a fraction is asked for."""


def load_image_folder(
    folder: str | Path,
    *,
    image_size: int | None = None,
    channels: int = 3,
    test_fraction: float | None = None,
    test: np.ndarray | None = None,
    entries: Mapping[str, np.ndarray] | None = None,
    resident_megabytes: float = 2048,
) -> Dataset:
    """The pictures under `folder`, at any depth, in the order of their paths (`find_images`).

    Examples are `image` uint8 [image_size, image_size, channels] and, when every picture lies in an immediate
    sub-folder, `label` int32 with the sub-folders' sorted names as `class_names` (see `jaxgen.data.images.to_array`
    for the cut). One picture in every `round(1 / test_fraction)`, evenly along the order, is held out as the test
    split: 1 in 20 by default, none in a folder of fewer than 100; or those that `test`, bool [N], says. `entries` are
    what else an example has, [N, ...]. What takes more than `resident_megabytes` as uint8 is decoded on access.

    UserError: no such folder, no pictures in it, pictures of several sizes and no `image_size`, a picture that cannot
    be read (at once when resident, else on access), a `test_fraction` outside [0, 0.5].
    """
    folder = Path(folder).expanduser()
    paths = find_images(folder)
    size = image_size or common_size(paths)
    names, labels = _labels(folder, paths)
    resident = megabytes(len(paths), size, channels) <= resident_megabytes
    images = _decode_all(paths, size, channels) if resident else None

    entries = {**(entries or {}), **({} if labels is None else {"label": labels})}

    def part(chosen: np.ndarray) -> Split:
        own = {name: values[chosen] for name, values in entries.items()}
        if images is None:
            return FolderSource([paths[i] for i in chosen], own, size, channels)
        return {"image": images[chosen], **own}

    test = held_out(len(paths), test_fraction) if test is None else test
    train_split = part(np.flatnonzero(~test))
    test_split = part(np.flatnonzero(test)) if test.any() else None
    assets = {"class_names": names} if names else {}
    return Dataset(folder.resolve().name, train_split, test_split, assets=assets)


class FolderSource:
    """Pictures decoded on access: {"image": uint8 [S, S, C]}, and what else they have (`entries`, [N, ...])."""

    def __init__(self, paths: Sequence[Path], entries: Mapping[str, np.ndarray], image_size: int, channels: int):
        self.paths, self.entries, self.image_size, self.channels = paths, entries, image_size, channels

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        image = read_image(self.paths[index], self.image_size, self.channels)
        return {"image": image, **{name: values[index] for name, values in self.entries.items()}}


def find_images(folder: Path) -> list[Path]:
    """The picture files under `folder`, sorted by path. UserError if there are none."""
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}: give the path of a folder of images.")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in EXTENSIONS and path.is_file())
    if not paths:
        raise UserError(f"The folder {folder} has no images: files ending in {', '.join(EXTENSIONS)} are looked for.")
    return paths


def common_size(paths: Sequence[Path]) -> int:
    """The side of the pictures when all are square and of one size, read from the files' headers."""
    wanted = None
    for path in paths:
        with open_picture(path) as picture:
            size = picture.size
        wanted = wanted or size
        if size != wanted or size[0] != size[1]:
            raise UserError(
                f"The images are not all squares of one size ({path.name} is {size[0]} x {size[1]}): give --image-size."
            )
    return wanted[0]


def common_channels(paths: Sequence[Path]) -> int:
    """1 if all pictures are grey, else 3, read from the files' headers."""
    for path in paths:
        with open_picture(path) as picture:
            if picture.mode not in ("1", "L", "I") and not picture.mode.startswith("I;16"):
                return 3
    return 1


def held_out(count: int, fraction: float | None) -> np.ndarray:
    """bool [count]: which examples are the test split, the last of every `round(1 / fraction)`."""
    if fraction is None:
        fraction = 0.05 if count >= HELD_OUT_FROM else 0.0
    if not 0.0 <= fraction <= 0.5:
        raise UserError(f"The test fraction must lie between 0 and 0.5, not {fraction}.")
    if fraction == 0.0:
        return np.zeros(count, bool)
    every = round(1.0 / fraction)
    return np.arange(count) % every == every - 1


def _labels(folder: Path, paths: Sequence[Path]) -> tuple[list[str], np.ndarray | None]:
    parents = [path.relative_to(folder).parent for path in paths]
    if any(len(parent.parts) != 1 for parent in parents):
        return [], None
    names = sorted({parent.name for parent in parents})
    index = {name: i for i, name in enumerate(names)}
    return names, np.array([index[parent.name] for parent in parents], np.int32)


def _decode_all(paths: Sequence[Path], image_size: int, channels: int) -> np.ndarray:
    images = np.empty((len(paths), image_size, image_size, channels), np.uint8)

    def decode(i: int) -> None:
        images[i] = read_image(paths[i], image_size, channels)

    with ThreadPoolExecutor() as threads:  # Pillow decodes and scales outside the interpreter's lock
        for _ in threads.map(decode, range(len(paths))):
            pass
    return images
