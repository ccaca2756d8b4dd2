"""Options of random shifts, rotations and scales of training images, shared by experiments."""

from dataclasses import dataclass
from typing import Annotated

from jaxgen.core.options import Rate, within


@dataclass(frozen=True)
class ShiftOptions:
    """How training images are shifted at random."""

    shift: Annotated[int, *within(0, 1000)] = 2
    """Shift training images by up to this many pixels."""


@dataclass(frozen=True)
class DistortionOptions(ShiftOptions):
    """How training images are shifted, rotated and scaled at random."""

    degrees: Annotated[float, *within(0, 360)] = 0.0
    """Rotate training images by up to this many degrees."""
    scale: Rate = 0.0
    """Scale training images up or down by up to this fraction."""
