"""The options that GANs of images of one's own share."""

from dataclasses import dataclass

from jaxgen.core.options import Count, CountFromZero
from jaxgen.experiments._gan import GANConfig
from jaxgen.experiments._images import ImagesConfig


@dataclass(frozen=True)
class ImageGANConfig(ImagesConfig, GANConfig):
    """Options of a GAN of any images."""

    steps: Count = 5_000
    """How many training steps the run has in all."""
    steps_per_dispatch: Count = 10
    """Steps run on the device between two returns to Python (results do not depend on it)."""
    log_every: CountFromZero = 50
    """Steps between lines of metrics.jsonl (means over those steps). 0: only at the end."""
    sample_every: CountFromZero = 250
    """Steps between sample sheets, always of the same latents. 0: only at the end."""
    checkpoint_every: CountFromZero = 500
    """Steps between checkpoints; one is always kept at the end. 0: only at the end."""
