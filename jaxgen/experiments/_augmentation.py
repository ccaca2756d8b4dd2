"""Options of the augmentation of a discriminator's images, and the `Augmentation` built from them."""

from dataclasses import dataclass
from typing import Annotated

from jaxgen.core.errors import UserError
from jaxgen.core.options import Count, Names, within
from jaxgen.models.augmentation import POLICIES, Augmentation, adaptive_augmentation, differentiable_augmentation

ADAPTIVE = "ada"
AugmentationNames = Annotated[str, Names((*POLICIES, ADAPTIVE))]


@dataclass(frozen=True)
class AugmentationOptions:
    """Augmentation of the discriminator's images, for small data sets."""

    augmentation: AugmentationNames | None = None
    """Augmentation of the discriminator's images: colour, translation, cutout (DiffAugment; names separated by commas),
    or ada (adaptive: its strength rises as the discriminator overfits). None: no augmentation."""
    ada_target: Annotated[float, *within(-1, 1)] = 0.6
    """Mean sign of the real logits that --augmentation ada aims at."""
    ada_images: Count = 500_000
    """Number of images in which the probability of --augmentation ada can go from 0 to 1."""


def named(text: str | None) -> list[str]:
    """Return the names in an option, with commas between them."""
    return [name.strip() for name in text.split(",")] if text else []


def build_augmentation(options: AugmentationOptions) -> Augmentation | None:
    """Return the augmentation of these options, or None.

    Raises:
      UserError: ada is combined with others.
    """
    if options.augmentation == ADAPTIVE:
        return adaptive_augmentation(options.ada_target, options.ada_images)
    names = named(options.augmentation)
    if ADAPTIVE in names:
        raise UserError(f"--augmentation {options.augmentation}: {ADAPTIVE} cannot be combined with others.")
    return differentiable_augmentation(names) if names else None
