"""The options that GANs of images of one's own share, and how their data is loaded."""

from dataclasses import dataclass
from pathlib import Path

from jaxgen.data import Dataset, load
from jaxgen.errors import UserError
from jaxgen.experiments._gan import GANConfig


@dataclass(frozen=True)
class ImageGANConfig(GANConfig):
    """Options of a GAN of any images."""

    data: str = "emoji"
    """A folder of images, an embedded set (emoji, mnist), or an image set of tensorflow-datasets by name."""
    data_dir: Path | None = None
    """Where tensorflow-datasets finds its prepared sets. None: its own default."""
    image_size: int = 32
    """Side of the square images in pixels: 4 or 7 times a power of two."""
    steps: int = 5_000
    """How many training steps the run has in all."""
    steps_per_dispatch: int = 10
    """Steps run on the device between two returns to Python (results do not depend on it)."""
    log_every: int = 50
    """Steps between lines of metrics.jsonl (means over those steps). 0: only at the end."""
    sample_every: int = 250
    """Steps between sample sheets, always of the same latents. 0: only at the end."""
    checkpoint_every: int = 500
    """Steps between checkpoints; one is always kept at the end. 0: only at the end."""


def load_images(config: ImageGANConfig) -> Dataset:
    """The images named by --data.

    Raises:
      UserError: they are no images.
    """
    data = load(config.data, image_size=config.image_size, data_dir=config.data_dir)
    if data.kind != "image":
        raise UserError(f"--data {config.data} is {data.kind}, not images: name an image set or a folder of images.")
    return data
