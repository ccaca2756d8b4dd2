"""Training on a few images of each class."""

from dataclasses import dataclass

from jaxgen.core.options import Count


@dataclass(frozen=True)
class SubsetOptions:
    """Which of the training images are learned from."""

    per_class: Count | None = None
    """Train on this many images of each class only, chosen by --seed. None: all."""
