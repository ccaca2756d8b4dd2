"""Two collections of images side by side, paired or unpaired."""

import dataclasses
import unicodedata
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from jaxgen.core.errors import UserError
from jaxgen.core.types import Batch
from jaxgen.data.content_digests import digest, file_digests
from jaxgen.data.dataset import Arrays, Dataset, Split, is_resident, length, scale_images, scaled
from jaxgen.data.folder_scan import Found, FoundFile, scan_folder
from jaxgen.data.identity import Identity
from jaxgen.data.image_folder import common_size, decode_all, how_cut
from jaxgen.data.loading import load
from jaxgen.data.splits import divide, recorded

SIDES = ("source", "image")
"""Entries of an example, from the first and the second folder."""
FRACTION = 0.1
"""Held-out fraction of two folders."""


def load_pairs(
    name: str,
    *,
    paired: bool,
    seed: int,
    image_size: int | None = None,
    data_dir: Path | None = None,
    target: Path | None = None,
    reverse: bool = False,
) -> Dataset:
    """Load examples with `source` and `image`, the target, uint8 [S, S, C] each.

    Args:
      name: a set whose examples have a `style` of 0 or 1 (emoji; `cycle_gan/*` of tensorflow-datasets), or the folder
        of sources if `target` is the folder of targets.
      paired: whether source and target of a training example belong together (in two folders: files of one name);
        otherwise they are matched at random. Held-out ones belong together in any case, if the set has pairs. Of two
        folders one pair in about ten is held out, by a hash of its name.
      seed: seed of the random matching.
      reverse: map style 1 to style 0.

    Raises:
      UserError: there are not two collections; with `paired`, files have no counterpart or two have one name; or the
        images take more than memory holds.
    """
    if target is not None:
        folders = [scan_folder(folder) for folder in (name, target)]
        if reverse:
            folders.reverse()
        return _of_pairs(folders, image_size) if paired else _of_two_folders(folders, image_size, seed)
    data = load(name, image_size=image_size, data_dir=data_dir)
    styles, held_out = _by_style(data.train, name), None if data.test is None else _by_style(data.test, name)
    rng = np.random.default_rng(seed)
    train = _side_by_side(styles, reverse, paired=paired, rng=rng)
    test = None if held_out is None else _side_by_side(held_out, reverse, paired=True, rng=rng)
    assets = {key: value for key, value in data.assets.items() if key == "style_names"}
    return dataclasses.replace(data, train=train, test=test, prepare=scale_both, assets=assets)


def _of_pairs(folders: Sequence[Found], image_size: int | None) -> Dataset:
    """Load two folders whose files of one name are pairs, in the order of the names."""
    sides = [_by_key(found) for found in folders]
    for here, there in ((0, 1), (1, 0)):
        alone = [key for key in sides[here] if key not in sides[there]]
        if alone and recorded() is None:  # a reopened run leaves them out
            raise UserError(
                f"{folders[here].folder} has a picture {alone[0]} that {folders[there].folder} lacks "
                f"({len(alone)} in all): a pair is two files of one name, whose endings may differ."
            )
    keys = [key for key in sides[0] if key in sides[1]]
    digests = [file_digests(found.folder, list(side.values())) for found, side in zip(folders, sides, strict=True)]
    by_key = [dict(zip(side, values, strict=True)) for side, values in zip(sides, digests, strict=True)]
    division = divide(keys, [digest(*(side[key] for side in by_key)) for key in keys], FRACTION)
    images = _decoded(folders, [[side[key].path for key in keys] for side in sides], image_size)

    def part(rows: np.ndarray) -> Arrays:
        return dict(zip(SIDES, (values[rows] for values in images), strict=True))

    return _dataset(folders, part(division.train), part(division.test), division.identity)


def _of_two_folders(folders: Sequence[Found], image_size: int | None, seed: int) -> Dataset:
    """Load two folders without pairs; two files of one name are either both held out or both trained on."""
    divisions, identity = [], Identity()
    for place, found in zip(SIDES, folders, strict=True):
        names = [f"{place}/{image.name}" for image in found.images]
        keys = [_key(image) for image in found.images]
        divisions.append(divide(names, file_digests(found.folder, found.images), FRACTION, keys=keys))
        identity |= divisions[-1].identity
    images = _decoded(folders, [[image.path for image in found.images] for found in folders], image_size)
    rng = np.random.default_rng(seed)
    train, test = (
        [values[getattr(division, part)] for values, division in zip(images, divisions, strict=True)]
        for part in ("train", "test")
    )
    mixed = _side_by_side(train, False, paired=False, rng=rng)
    return _dataset(folders, mixed, _side_by_side(test, False, paired=True, rng=rng), identity)


def _dataset(folders: Sequence[Found], train: Arrays, test: Arrays, identity: Identity) -> Dataset:
    return Dataset(
        folders[0].folder.resolve().name,
        train,
        test if length(test) else None,
        prepare=scale_both,
        identity=identity,
        facts=how_cut([image.path for found in folders for image in found.images], train["image"].shape[1]),
        notes=tuple(line for found in folders for line in found.note()),
    )


def _decoded(folders: Sequence[Found], paths: Sequence[Sequence[Path]], image_size: int | None) -> list[np.ndarray]:
    size = image_size or common_size([path for side in paths for path in side])
    decoded = [decode_all(side, size, 3) for side in paths]
    for found, values in zip(folders, decoded, strict=True):
        if values is None:
            raise UserError(f"{found.folder} is too large to be paired in memory: choose a smaller --image-size.")
    return [values for values in decoded if values is not None]


def _by_key(found: Found) -> dict[str, FoundFile]:
    """Return the pictures of a folder by their names without endings.

    Raises:
      UserError: two pictures have one name.
    """
    by_key: dict[str, FoundFile] = {}
    for image in found.images:
        other = by_key.setdefault(_key(image), image)
        if other is not image:
            raise UserError(
                f"{found.folder} has two pictures of one name, {other.name} and {image.name}: of which "
                "a pair is made cannot be told, so rename or remove one."
            )
    return by_key


def _key(image: FoundFile) -> str:
    """Return a picture's name without its ending ("0.left" for 0.left.jpg), with accents in Unicode's normal form C."""
    return unicodedata.normalize("NFC", str(PurePosixPath(image.name).with_suffix("")))


def scale_both(batch: Batch) -> Batch:
    """Apply `scale_images` to `image`, and the same scaling to `source`."""
    return {**scale_images(batch), "source": scaled(batch["source"])}


def _by_style(split: Split, name: str) -> list[np.ndarray]:
    if not is_resident(split):
        raise UserError(f"{name} is too large to be taken apart by style: choose a smaller --image-size.")
    if "style" not in split:
        raise UserError(
            f"{name} has no two collections of images: name a set that has (emoji, cycle_gan/...), or two folders with "
            "--data and --target."
        )
    return [split["image"][split["style"] == style] for style in (0, 1)]


def _side_by_side(images: Sequence[np.ndarray], reverse: bool, *, paired: bool, rng: np.random.Generator) -> Arrays:
    source, target = reversed(images) if reverse else images
    if paired:
        count = min(len(source), len(target))
        return {"source": source[:count], "image": target[:count]}
    count = max(len(source), len(target))
    rows = [rng.permutation(np.arange(count) % len(images)) for images in (source, target)]
    return {"source": source[rows[0]], "image": target[rows[1]]}
