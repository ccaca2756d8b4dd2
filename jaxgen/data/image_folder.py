"""Any folder of pictures as a data set."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from jaxgen.core.errors import UserError
from jaxgen.core.terminal import printable
from jaxgen.core.types import Json
from jaxgen.data.content_digests import file_digests
from jaxgen.data.dataset import Dataset, Split
from jaxgen.data.folder_scan import Found, scan_folder
from jaxgen.data.images import megabytes
from jaxgen.data.picture_file import open_picture, read_image
from jaxgen.data.splits import Division, divide, recorded

STRAY = "no_classes"
"""Asset that names a picture beside the folders that could otherwise be classes."""
_LOOKED_AT = 1_000


def load_image_folder(
    folder: str | Path,
    *,
    image_size: int | None = None,
    channels: int = 3,
    test_fraction: float | None = None,
    resident_megabytes: float = 2048,
) -> Dataset:
    """Return the pictures under `folder`, at any depth, in the order of their paths (`folder_scan.scan_folder`).

    Examples are `image` uint8 [image_size, image_size, channels] and, when every picture is in a sub-folder, `label`
    int32 with the sub-folders' sorted names as `class_names` (see `jaxgen.data.images.to_array` for the crop). One
    picture in about `round(1 / test_fraction)`, chosen by a hash of its path (`splits.held_out`), is held out as the
    test split: 1 in 20 by default, none in a folder of fewer than 100. If the pictures take more than
    `resident_megabytes` as uint8, they are decoded on access.

    Raises:
      UserError: the folder does not exist or has no pictures; pictures have several sizes and there is no `image_size`;
        a picture cannot be read (raised at once if resident, else on access); `test_fraction` is outside [0, 0.5].
    """
    found = scan_folder(folder)
    digests = file_digests(found.folder, found.images)
    division = divide([image.name for image in found.images], digests, test_fraction)
    sizes = {"image_size": image_size, "channels": channels, "resident_megabytes": resident_megabytes}
    return dataset_of(found, division, **sizes)


def dataset_of(
    found: Found,
    division: Division,
    *,
    image_size: int | None = None,
    channels: int = 3,
    entries: Mapping[str, np.ndarray] | None = None,
    resident_megabytes: float = 2048,
    expected: Sequence[str] = (),
) -> Dataset:
    """Return the data set of a folder's pictures with a given division; see `load_image_folder`.

    Args:
      entries: other entries of the examples, [N, ...], for N pictures as in `found`.
      expected: endings of other files that belong in the folder (`Found.note`).
    """
    rows = np.sort(np.concatenate([division.train, division.test]))
    paths = [found.images[i].path for i in rows]
    size = image_size or common_size(paths)
    labels, assets, fact = _classes(found)
    entries = {**(entries or {}), **({} if labels is None else {"label": labels})}
    images = decode_all(paths, size, channels, resident_megabytes)

    def part(chosen: np.ndarray) -> Split:
        own = {name: values[chosen] for name, values in entries.items()}
        if images is None:
            return FolderSource([found.images[i].path for i in chosen], own, size, channels)
        return {"image": images[np.searchsorted(rows, chosen)], **own}

    return Dataset(
        found.folder.resolve().name,
        part(division.train),
        part(division.test) if len(division.test) else None,
        assets=assets,
        identity=division.identity,
        facts=(*fact, *how_cut(paths, size)),
        notes=found.note(expected),
    )


class FolderSource:
    """Pictures decoded on access: {"image": uint8 [S, S, C]}, and their other entries (`entries`, [N, ...])."""

    def __init__(self, paths: Sequence[Path], entries: Mapping[str, np.ndarray], image_size: int, channels: int):
        self.paths, self.entries, self.image_size, self.channels = paths, entries, image_size, channels

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        image = read_image(self.paths[index], self.image_size, self.channels)
        return {"image": image, **{name: values[index] for name, values in self.entries.items()}}


def common_size(paths: Sequence[Path]) -> int:
    """Return the side of the pictures if all are square and of one size, read from the files' headers."""
    wanted = (0, 0)
    for i, path in enumerate(paths):
        with open_picture(path) as picture:
            size = picture.size
        wanted = wanted if i else size
        if size != wanted or size[0] != size[1]:
            raise UserError(
                f"The images are not all squares of one size ({path.name} is {size[0]} x {size[1]}): give --image-size."
            )
    return wanted[0]


def common_channels(paths: Sequence[Path]) -> int:
    """Return 1 if all pictures are gray, else 3, read from the files' headers."""
    for path in paths:
        with open_picture(path) as picture:
            if picture.mode not in ("1", "L", "I") and not picture.mode.startswith("I;16"):
                return 3
    return 1


def how_cut(paths: Sequence[Path], size: int) -> tuple[str, ...]:
    """Return how pictures are cropped and scaled, for a line about the data; of many, about 1,000 are checked."""
    sizes = set()
    for path in paths[:: max(1, len(paths) // _LOOKED_AT)]:
        with open_picture(path) as picture:
            sizes.add(picture.size)
    if any(width != height for width, height in sizes):
        return (f"cropped to squares and scaled to {size}x{size}",)
    return () if sizes <= {(size, size)} else (f"scaled to {size}x{size}",)


def decode_all(
    paths: Sequence[Path], image_size: int, channels: int, resident_megabytes: float = 2048
) -> np.ndarray | None:
    """Decode all pictures to uint8 [N, S, S, C]; None: they would take more than `resident_megabytes`."""
    if megabytes(len(paths), image_size, channels) > resident_megabytes:
        return None
    images = np.empty((len(paths), image_size, image_size, channels), np.uint8)

    def decode(i: int) -> None:
        images[i] = read_image(paths[i], image_size, channels)

    with ThreadPoolExecutor() as threads:  # Pillow decodes and scales outside the interpreter's lock
        for _ in threads.map(decode, range(len(paths))):
            pass
    return images


def _classes(found: Found) -> tuple[np.ndarray | None, Json, tuple[str, ...]]:
    """Return labels by the first sub-folder, the assets that name them, and a fact for a line about the data.

    A reopened run keeps its own classes.
    """
    firsts = [image.name.split("/")[0] if "/" in image.name else None for image in found.images]
    names = sorted({name for name in firsts if name is not None})
    known = recorded()
    if known is not None:
        names, strays = known.assets.get("class_names", []), []
    else:
        strays = [image.name for image, first in zip(found.images, firsts, strict=True) if first is None]
    if not names:
        return None, {}, ()
    if strays:
        folders = ", ".join(map(printable, names[:3])) + (", ..." if names[3:] else "")
        others = f" (and {len(strays) - 1} more)" if strays[1:] else ""
        alone = f"{printable(strays[0])}{others} lies beside the folders {folders}"
        return None, {STRAY: alone}, (f"no classes, since {alone}",)
    index = {name: i for i, name in enumerate(names)}
    labels = np.array(
        [0 if first is None else index.get(first, 0) for first in firsts], np.int32
    )  # 0 for pictures that a run does not know
    return labels, {"class_names": names}, (f"{len(names)} class{'' if len(names) == 1 else 'es'} by sub-folder",)
