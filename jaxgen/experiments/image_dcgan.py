"""The DCGAN of the paper (Radford et al. 2016, https://arxiv.org/abs/1511.06434) on images of your own.

    python -m jaxgen.experiments.image_dcgan --data path/to/images --image-size 64

takes any folder of images (sub-folders too); --data also takes an embedded set (emoji, mnist) or the name of an image
set of tensorflow-datasets (cifar10, celeb_a, ...; --data-dir says where it lies prepared).
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxgen.data import Dataset, load
from jaxgen.errors import UserError
from jaxgen.experiment import Experiment, run
from jaxgen.experiments._gan import GANConfig, build_gan
from jaxgen.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from jaxgen.training.state import GenerativeModel


@dataclass(frozen=True)
class Config(GANConfig):
    """Options of image_dcgan."""

    data: str = "emoji"
    """A folder of images, an embedded set (emoji, mnist), or an image set of tensorflow-datasets by name."""
    data_dir: Path | None = None
    """Where tensorflow-datasets finds its prepared sets. None: its own default."""
    image_size: int = 32
    """Side of the square images in pixels: 4 or 7 times a power of two."""
    base_width: int = 64
    """Channels of the last hidden layer of the generator and the first of the discriminator; the paper's is 128."""
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


def load_data(config: Config) -> Dataset:
    """The images named by --data."""
    data = load(config.data, image_size=config.image_size, data_dir=config.data_dir)
    if data.kind != "image":
        raise UserError(f"--data {config.data} is {data.kind}, not images: name an image set or a folder of images.")
    return data


def build_model(config: Config, assets: Mapping[str, Any]) -> GenerativeModel:
    """Stem and widths as in the paper's figure 1; the discriminator has batch norm, as there."""
    image_shape = tuple(assets["image_shape"])
    return build_gan(
        config,
        DCGANGenerator(image_shape, config.base_width),
        DCGANDiscriminator(image_shape, config.base_width),
        independent_examples=False,
    )


EXPERIMENT = Experiment(
    file=__file__,
    summary="DCGAN on your images",
    data="--data ...",
    expected_time="30 min on 2 CPU cores",
    presets={
        "quick": Config(steps=100, base_width=16, sample_every=20, checkpoint_every=50),
        "default": Config(),
        "full": Config(image_size=64, base_width=128, steps=50_000, sample_every=1_000, checkpoint_every=1_000),
    },
    load_data=load_data,
    build_model=build_model,
)


def main() -> None:
    sys.exit(run(EXPERIMENT))


if __name__ == "__main__":
    main()
