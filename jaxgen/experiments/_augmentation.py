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
    """What images go through before the discriminator: color, translation, cutout (DiffAugment; with commas between
    them), or ada (adaptive: the less, the less the discriminator overfits)."""
    ada_target: Annotated[float, *within(-1, 1)] = 0.6
    """The mean sign of real logits that --augmentation ada aims at."""
    ada_images: Count = 500_000
    """How many images --augmentation ada needs to go from never to always."""


def named(text: str | None) -> list[str]:
    """Return the names in an option, with commas between them."""
    return [name.strip() for name in text.split(",")] if text else []


def build_augmentation(config: AugmentationConfig) -> Augmentation | None:
    """Of these options; None for none.

    Raises:
      UserError: ada beside others.
    """
    if config.augmentation == ADAPTIVE:
        return adaptive_augmentation(config.ada_target, config.ada_images)
    names = named(config.augmentation)
    if ADAPTIVE in names:
        raise UserError(f"--augmentation {config.augmentation}: {ADAPTIVE} stands alone.")
    return differentiable_augmentation(names) if names else None
