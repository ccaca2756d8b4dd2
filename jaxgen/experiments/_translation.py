"""Options, values, data and optimizer of the translation of images, shared by experiments."""

from dataclasses import dataclass
from pathlib import Path

import optax

from jaxgen.core.options import ImageSize, PositiveFloat, Rate, Size, Text
from jaxgen.data import Dataset
from jaxgen.data.pairs import load_pairs
from jaxgen.experiments._averages import AverageOptions
from jaxgen.experiments._distortion import ShiftOptions
from jaxgen.training.config import TrainConfig


@dataclass(frozen=True)
class CollectionOptions:
    """The two collections of images."""

    data: Text = "emoji"
    """Set of two collections (emoji: Google's and Twitter's style; cycle_gan/... of tensorflow-datasets), or a folder
    of sources, with --target."""
    target: Path | None = None
    """Folder of targets. For models of pairs, files with the same name in it and in --data are a pair."""
    reverse: bool = False
    """Translate from the second collection to the first."""
    data_dir: Path | None = None
    """Folder with the prepared sets of tensorflow-datasets. None: its own default."""
    image_size: ImageSize = 32
    """Side of the square images in pixels."""


@dataclass(frozen=True)
class TranslatorOptions:
    """The networks."""

    width: Size = 32
    """Channels of the generators at their first size."""
    discriminator_width: Size = 32
    """Channels of the discriminators' first layer."""


@dataclass(frozen=True)
class LinearAdamOptions:
    """Adam, with a learning rate that falls linearly."""

    learning_rate: PositiveFloat = 2e-4
    """Adam's learning rate, for all networks; it falls to 0 over the second half of the run."""
    beta1: Rate = 0.5
    """Adam's decay of the first moment."""


@dataclass(frozen=True)
class TranslationOptimizerOptions(AverageOptions, LinearAdamOptions):
    """Adam, with a learning rate that falls linearly, and an average."""


@dataclass(frozen=True)
class MirrorOptions(ShiftOptions):
    """How training images are shifted and mirrored at random, both images of a pair alike."""

    mirror: bool = True
    """Mirror training images at random."""


@dataclass(frozen=True)
class TranslationConfig(TrainConfig):
    """Options of a translation between two collections of images."""

    data: CollectionOptions = CollectionOptions()
    optimizer: TranslationOptimizerOptions = TranslationOptimizerOptions()
    augmentation: MirrorOptions = MirrorOptions()


TRANSLATION = {
    "steps": 4_000,
    "steps_per_dispatch": 10,
    "sample_every": 500,
    "checkpoint_every": 500,
    "eval_every": 500,
}
"""Values of a translation that learns on a CPU."""


def load_translation(config: TranslationConfig, *, paired: bool) -> Dataset:
    """Load the two collections side by side."""
    return load_pairs(
        config.data.data,
        paired=paired,
        seed=config.run.seed,
        image_size=config.data.image_size,
        data_dir=config.data.data_dir,
        target=config.data.target,
        reverse=config.data.reverse,
    )


def patch_halvings(image_size: int) -> int:
    """Return PatchGAN's number of halvings: the papers' 3 (70x70 pixels) for large images, 2 (34x34) for small ones."""
    return 2 if image_size < 128 else 3


def optimizer_of(config: TranslationConfig) -> optax.GradientTransformation:
    """Return Adam with a learning rate that is constant in the first half of the run and falls to 0 in the second."""
    half = config.run.steps // 2
    rate = optax.linear_schedule(config.optimizer.learning_rate, 0.0, max(1, config.run.steps - half), half)
    return optax.adam(rate, config.optimizer.beta1)
