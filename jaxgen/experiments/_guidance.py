"""Classifier-free guidance of samples: its options."""

from dataclasses import dataclass

from jaxgen.core.options import NonNegativeFloat


@dataclass(frozen=True)
class GuidanceOptions:
    """How samples are drawn; commands may say otherwise later."""

    guidance: NonNegativeFloat = 1.0
    """How far samples go toward their class or caption, from what images are like without (0) to it (1) and beyond."""
