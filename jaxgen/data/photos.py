"""Patches of photographs, some of which are held out whole, from a folder or from scikit-image."""

from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgen.core.errors import UserError
from jaxgen.data.content_digests import digest, file_digests
from jaxgen.data.dataset import Dataset
from jaxgen.data.folder_scan import scan_folder
from jaxgen.data.identity import Identity
from jaxgen.data.picture_file import read_picture
from jaxgen.data.splits import divide

PHOTOS = "photos"
TRAIN_PHOTOS = (
    "astronaut.png",
    "cell.png",
    "clock_motion.png",
    "coins.png",
    "grass.png",
    "gravel.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "moon.png",
    "motorcycle_left.png",
    "motorcycle_right.png",
    "retina.jpg",
    "rocket.jpg",
)
"""Training pictures of scikit-image; the two of the motorcycle show one scene."""
TEST_PHOTOS = ("brick.png", "camera.png", "chelsea.png", "coffee.png")
"""Held-out pictures of scikit-image: a wall, a photographer, a cat, a cup of coffee."""


def load_patches(name: str, *, size: int, channels: int = 3, test_fraction: float = 0.2) -> Dataset:
    """Load squares of `size` pixels from pictures, without scaling.

    Training patches overlap by half; those of the held-out pictures do not overlap.

    Args:
      name: a folder, one of whose pictures in about `round(1 / test_fraction)` is held out, by a hash of its path
        (`splits.held_out`); or "photos", the pictures of scikit-image, of which `TEST_PHOTOS` are held out.

    Raises:
      UserError: scikit-image or the folder is missing, or no picture is as large as a patch.
    """
    photos = photo_files(name, test_fraction)
    splits = {}
    for split, paths, step in (("train", photos.train, max(1, size // 2)), ("test", photos.test, size)):
        patches = [patches_of(read_picture(path, channels), size, step) for path in paths]
        patches = [patch for patch in patches if len(patch)]
        splits[split] = {"image": np.concatenate(patches)} if patches else None
    if splits["train"] is None:
        raise UserError(f"No picture of {name} has {size} x {size} pixels: choose a smaller --image-size.")
    facts = (f"patches of {len(photos.train)} pictures ({len(photos.test)} held out)",)
    return Dataset(f"patches of {photos.name}", **splits, identity=photos.identity, facts=facts, notes=photos.notes)


class Photos(NamedTuple):
    """Files of photographs, some of which are held out."""

    name: str
    train: list[Path]
    test: list[Path]
    identity: Identity
    notes: tuple[str, ...] = ()


def photo_files(name: str, test_fraction: float) -> Photos:
    """Return the files to train on and those that are held out.

    Raises:
      UserError: scikit-image or the folder is missing.
    """
    if name == PHOTOS and not Path(name).is_dir():
        train, test = ({file: photo_of(file) for file in files} for files in (TRAIN_PHOTOS, TEST_PHOTOS))
        digests = [{file: digest(path.read_bytes()) for file, path in part.items()} for part in (train, test)]
        return Photos(name, list(train.values()), list(test.values()), Identity({}, *digests))
    found = scan_folder(name)
    digests = file_digests(found.folder, found.images)
    division = divide([image.name for image in found.images], digests, test_fraction)
    train, test = ([found.images[i].path for i in rows] for rows in (division.train, division.test))
    return Photos(found.folder.resolve().name, train, test, division.identity, found.note())


def photo_of(file: str) -> Path:
    """Return the path of a picture that comes with scikit-image.

    Raises:
      UserError: scikit-image is missing.
    """
    spec = find_spec("skimage")
    if spec is None or spec.origin is None:
        raise UserError(
            "The photographs come with scikit-image, which is not installed: pip install 'jaxgen[photos]', or name "
            "pictures of your own (--data, --style)."
        )
    return Path(spec.origin).parent / "data" / file


def patches_of(image: np.ndarray, size: int, step: int) -> np.ndarray:
    """Return all squares [N, size, size, C] of an image [H, W, C] that begin every `step` pixels and lie within it."""
    if min(image.shape[:2]) < size:
        return np.empty((0, size, size, image.shape[-1]), image.dtype)
    windows = np.lib.stride_tricks.sliding_window_view(image, (size, size), axis=(0, 1))[::step, ::step]
    return np.moveaxis(windows, 2, -1).reshape(-1, size, size, image.shape[-1])
