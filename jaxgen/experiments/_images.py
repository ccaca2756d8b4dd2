"""Options and loading of any images, such as your own."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jaxgen.core.errors import UserError
from jaxgen.core.options import ImageSize, Text
from jaxgen.core.types import Assets
from jaxgen.data import Dataset, load
from jaxgen.data.dataset import length, read_examples
from jaxgen.data.image_folder import STRAY

FOR_VARIANCE = 60_000


@dataclass(frozen=True)
class ImageOptions:
    """The images to learn from."""

    data: Text = "emoji"
    """A folder of images, an embedded set such as emoji or mnist, or an image set of tensorflow-datasets by name."""
    data_dir: Path | None = None
    """Folder with the prepared sets of tensorflow-datasets. None: its own default."""
    image_size: ImageSize = 32
    """Side of the square images in pixels; networks that double a small map take 4 or 7 times a power of two."""


def load_images(options: ImageOptions) -> Dataset:
    """Load the images named by --data.

    Raises:
      UserError: the data are no images.
    """
    data = load(options.data, image_size=options.image_size, data_dir=options.data_dir)
    if data.kind != "image":
        raise UserError(f"--data {options.data} is {data.kind}, not images: name an image set or a folder of images.")
    return data


def class_count(assets: Assets) -> int:
    """Return the number of classes of the data.

    Raises:
      UserError: the data have no classes.
    """
    if stray := assets.get(STRAY):
        raise UserError(
            f"The pictures of this data have no classes, since {stray}: move it into one of them or away, or leave out "
            "--conditional."
        )
    if not assets.get("class_names"):
        raise UserError(
            "This data has no classes: name a set that has (emoji, cifar10, mnist), or leave out --conditional."
        )
    return len(assets["class_names"])


def with_data_variance(data: Dataset) -> Dataset:
    """Return `data` with the asset `data_variance`, that of its first training images over all pixels in [-1, 1]."""
    images = read_examples(data.train, 0, min(length(data.train), FOR_VARIANCE))["image"]
    variance = float(np.var(images, dtype=np.float64) / 127.5**2)
    return dataclasses.replace(data, assets={**data.assets, "data_variance": variance})
