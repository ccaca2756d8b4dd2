"""The options of the experiments that translate images, and their data."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import optax

from jaxgen.core.options import Count, CountFromZero, ImageSize, PositiveFloat, Rate, Size, Text, within
from jaxgen.data import Dataset
from jaxgen.data.pairs import load_pairs
from jaxgen.training.config import TrainConfig


@dataclass(frozen=True)
class TranslationConfig(TrainConfig):
    """Options of a translation between two collections of images."""

    steps: Count = 4_000
    """How many training steps the run has in all."""
    eval_every: CountFromZero = 500
    """Steps between evaluations on the held-out examples. 0: only at the end."""
    sample_every: CountFromZero = 500
    """Steps between sheets of held-out examples: sources, translations, targets. 0: only at the end."""
    checkpoint_every: CountFromZero = 500
    """Steps between checkpoints; one is always kept at the end. 0: only at the end."""
    data: Text = "emoji"
    """A set of two collections (emoji: Google's and Twitter's style; cycle_gan/... of tensorflow-datasets), or a folder
    of sources, with --target."""
    target: Path | None = None
    """A folder of targets. Where pairs are learned, files of one name in it and in --data are a pair."""
    reverse: bool = False
    """From the second collection to the first."""
    data_dir: Path | None = None
    """Where tensorflow-datasets finds its prepared sets. None: its own default."""
    image_size: ImageSize = 32
    """Side of the square images in pixels."""
    steps_per_dispatch: Count = 10
    """Steps run on the device between two returns to Python (results do not depend on it)."""
    width: Size = 32
    """Channels of the generators at their first size."""
    discriminator_width: Size = 32
    """Channels of the discriminators' first layer."""
    shift: Annotated[int, *within(0, 1000)] = 2
    """Training images are moved by up to this many pixels (a pair alike)."""
    mirror: bool = True
    """Training images are mirrored by chance (a pair alike)."""
    learning_rate: PositiveFloat = 2e-4
    """Adam's, of all networks; it falls to 0 over the second half of the run."""
    beta1: Rate = 0.5
    """Adam's decay of the first moment."""
    ema_decay: Rate | None = 0.999
    """Decay of the moving average of the generator that evaluation and translations use. None: no average."""


def load_translation(config: TranslationConfig, *, paired: bool) -> Dataset:
    """The collections side by side."""
    return load_pairs(
        config.data,
        paired=paired,
        seed=config.seed,
        image_size=config.image_size,
        data_dir=config.data_dir,
        target=config.target,
        reverse=config.reverse,
    )


def patch_halvings(image_size: int) -> int:
    """Of PatchGAN: the papers' 3 (70x70 pixels) for large images, 2 (34x34) for small ones."""
    return 2 if image_size < 128 else 3


def optimizer_of(config: TranslationConfig) -> optax.GradientTransformation:
    """Adam, whose learning rate stays for half of the run and falls to 0 in the other half."""
    half = config.steps // 2
    rate = optax.linear_schedule(config.learning_rate, 0.0, max(1, config.steps - half), half)
    return optax.adam(rate, config.beta1)
