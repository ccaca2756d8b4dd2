"""Options of patches of photographs, such as your own."""

from dataclasses import dataclass
from typing import Annotated

from jaxgen.core.options import ImageSize, Text, within
from jaxgen.data.photos import PHOTOS


@dataclass(frozen=True)
class PatchOptions:
    """The pictures whose patches are learned from."""

    data: Text = PHOTOS
    """A folder of pictures, or photos: those that come with scikit-image."""
    image_size: ImageSize = 64
    """Side of the patches in pixels."""
    test_fraction: Annotated[float, *within(0.001, 0.5)] = 0.2
    """Fraction of a folder's pictures that are held out as a whole."""
