"""The options that GANs of images of one's own share."""

from dataclasses import dataclass

from jaxgen.experiments._gan import GANConfig
from jaxgen.experiments._images import ImagesConfig


@dataclass(frozen=True)
class ImageGANConfig(ImagesConfig, GANConfig):
    """Options of a GAN of any images."""

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
