"""The options of what a discriminator's images go through, and how they become an `Augmentation`."""

from dataclasses import dataclass
from typing import Annotated

from jaxgen.core.errors import UserError
from jaxgen.core.options import Count, Names, within
from jaxgen.models.augmentation import POLICIES, Augmentation, adaptive_augmentation, differentiable_augmentation

ADAPTIVE = "ada"
AugmentationNames = Annotated[str, Names((*POLICIES, ADAPTIVE))]


@dataclass(frozen=True)
class AugmentationConfig:
    """What a config gets by naming this before the class of its other options."""

    augmentation: AugmentationNames | None = None
    """Augmentation of what the discriminator sees: colour, translation, cutout (DiffAugment; separated by commas), or
    ada (adaptive: strength rises as the discriminator overfits)."""
    ada_target: Annotated[float, *within(-1, 1)] = 0.6
    """Mean sign of the real logits that --augmentation ada aims at."""
    ada_images: Count = 500_000
    """Number of images in which the probability of --augmentation ada can go from 0 to 1."""


def named(text: str | None) -> list[str]:
    """Return the names in an option, with commas between them."""
    return [name.strip() for name in text.split(",")] if text else []


def build_augmentation(config: AugmentationConfig) -> Augmentation | None:
    """Return the augmentation of these options, or None.

    Raises:
      UserError: ada beside others.
    """
    if config.augmentation == ADAPTIVE:
        return adaptive_augmentation(config.ada_target, config.ada_images)
    names = named(config.augmentation)
    if ADAPTIVE in names:
        raise UserError(f"--augmentation {config.augmentation}: {ADAPTIVE} stands alone.")
    return differentiable_augmentation(names) if names else None
