"""Options and values of GANs of your own images, shared by experiments."""

from dataclasses import dataclass

from jaxgen.experiments._gan import GANConfig
from jaxgen.experiments._images import ImageOptions


@dataclass(frozen=True)
class ImageGANConfig(GANConfig):
    """Options of a GAN of any images."""

    data: ImageOptions = ImageOptions()


IMAGES = {"steps": 5_000, "steps_per_dispatch": 10, "log_every": 50, "sample_every": 250, "checkpoint_every": 500}
"""Values of a GAN of any images: shorter runs of slower steps."""
