"""The common loader of all data: `load(name)`."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jaxgen.core.errors import UserError
from jaxgen.data import embedded_sets
from jaxgen.data.array_file import ARRAY_ENDINGS
from jaxgen.data.content_digests import digest
from jaxgen.data.dataset import Dataset, is_resident, length
from jaxgen.data.images import resize_arrays
from jaxgen.data.npz_file import load_npz
from jaxgen.data.splits import divide
from jaxgen.data.spoken import load_spoken
from jaxgen.data.text import load_text

EMOJI_HELD_OUT = 10
"""One emoji in this many is in the test split, in both styles."""


def load(
    name: str,
    *,
    image_size: int | None = None,
    channels: int | None = None,
    sequence_length: int = 64,
    test_fraction: float | None = None,
    data_dir: str | Path | None = None,
    resident_megabytes: float = 2048,
) -> Dataset:
    """Load the data set called `name`.

    | name | what it is |
    |---|---|
    | `mnist`, `emoji`, `kjv`, `spoken` | comes with the package, see `load_mnist` and so on below |
    | an existing folder, or any path starting with `/`, `.` or `~` | images, see `image_folder.load_image_folder` |
    | a path ending in `.npz` or `.npy` | images, see `npz_file.load_npz` |
    | a path ending in `.txt` | a text by characters, see `text.load_text`, which has other texts and vocabularies too |
    | `cifar10`, `cycle_gan/horse2zebra`, `tfds:mnist` | tensorflow-datasets, see `tfds_source.load_tfds` |

    Args:
      name: name of the data set, from the table.
      image_size: side of the images in pixels; None: the set's own.
      channels: 1 for gray, 3 for RGB; None: the set's own.
      sequence_length: characters predicted in each example of a text.
      test_fraction: held-out fraction of a folder of images, chosen by their names; None: 1 in 20 (of 100 or more).
      data_dir: folder of the prepared sets of tensorflow-datasets.
      resident_megabytes: sets of images that take more (as uint8) are decoded on access.

    Raises:
      UserError: the name is unknown, or the loader of the set raises it.
    """
    if image_size is not None and image_size < 1:
        raise UserError(f"The image size must be at least 1 pixel, not {image_size}.")
    if channels not in (None, 1, 3):
        raise UserError(f"Images have 1 channel (gray) or 3 (RGB), not {channels}.")
    embedded = {
        "mnist": lambda: load_mnist(image_size or embedded_sets.MNIST_SIZE, channels or 1),
        "emoji": lambda: load_emoji(image_size or embedded_sets.EMOJI_SIZE, channels or 3),
        "kjv": lambda: load_text(name, sequence_length=sequence_length),
        "spoken": load_spoken,
    }
    if name in embedded:
        return embedded[name]()
    ending = Path(name).suffix.lower()
    if ending == ".txt":
        return load_text(name, sequence_length=sequence_length)
    if ending in ARRAY_ENDINGS:
        return divided_by_row(load_npz(name, image_size=image_size, channels=channels))
    if name.startswith(("/", ".", "~")) or (name and Path(name).is_dir()):
        from jaxgen.data.image_folder import load_image_folder

        options = {"image_size": image_size, "channels": channels or 3, "test_fraction": test_fraction}
        return load_image_folder(name, resident_megabytes=resident_megabytes, **options)
    from jaxgen.data.tfds_source import load_tfds

    return load_tfds(
        name.removeprefix("tfds:"),
        image_size=image_size,
        channels=channels,
        data_dir=data_dir,
        resident_megabytes=resident_megabytes,
        known_names=list(embedded_sets.EMBEDDED),
    )


def load_mnist(image_size: int = 28, channels: int = 1) -> Dataset:
    """Load handwritten digits: `image` uint8 [S, S, C] white on black, `label` int32 0..9; 60,000 train, 10,000 test.

    Size 32 is the original padded by 2 black pixels; other sizes are scaled.
    """
    arrays = embedded_sets.mnist_arrays()

    def split(images: np.ndarray, labels: np.ndarray) -> Mapping[str, np.ndarray]:
        if image_size == 32:
            images = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)))
        images = resize_arrays(images, image_size, 1)
        return {"image": np.repeat(images, channels, axis=-1), "label": labels.astype(np.int32)}

    train = split(arrays.train_images, arrays.train_labels)
    test = split(arrays.test_images, arrays.test_labels)
    assets = {"class_names": [str(digit) for digit in range(10)]}
    return Dataset("mnist", train, test, assets=assets, identity=embedded_sets.identity_of("mnist"))


def load_emoji(image_size: int = 32, channels: int = 3) -> Dataset:
    """Load emoji in two drawing styles.

    An example has `image` uint8 [S, S, C], `style` uint8 0 (Google) or 1 (Twitter), `label` int32, the Unicode
    category, and `emoji` int32, the number of the emoji in `jaxgen.data.embedded_sets.emoji_arrays`.

    All emoji of one style come first, then all of the other, in the same order. One emoji in ten is held out, in both
    styles, so that no emoji of the test split was seen in either.
    """
    arrays = embedded_sets.emoji_arrays()
    categories = sorted(set(arrays.categories))
    labels = np.array([categories.index(category) for category in arrays.categories], np.int32)
    number = np.arange(len(labels), dtype=np.int32)
    styles = [resize_arrays(images, image_size, channels) for images in (arrays.google, arrays.twitter)]

    def split(chosen: np.ndarray) -> Mapping[str, np.ndarray]:
        return {
            "image": np.concatenate([images[chosen] for images in styles]),
            "label": np.tile(labels[chosen], 2),
            "style": np.repeat(np.arange(2, dtype=np.uint8), chosen.sum()),
            "emoji": np.tile(number[chosen], 2),
        }

    test = number % EMOJI_HELD_OUT == EMOJI_HELD_OUT - 1
    assets = {"class_names": categories, "style_names": ["google", "twitter"]}
    return Dataset("emoji", split(~test), split(test), assets=assets, identity=embedded_sets.identity_of("emoji"))


def divided_by_row(data: Dataset) -> Dataset:
    """Return a training set of arrays with an identity by which its rows are recognized."""
    arrays = data.train
    assert is_resident(arrays)
    names = [f"row {i}" for i in range(length(arrays))]
    digests = [
        digest(*(np.ascontiguousarray(values[i]).tobytes() for values in arrays.values())) for i in range(len(names))
    ]
    division = divide(names, digests, 0.0)
    train = {name: values[division.train] for name, values in arrays.items()}
    return dataclasses.replace(data, train=train, identity=division.identity)
