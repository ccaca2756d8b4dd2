"""Which image sizes a network that doubles or halves maps can have."""

from collections.abc import Sequence

from jaxgen.core.errors import UserError


def stem_and_doublings(image_shape: tuple[int, int, int], stems: Sequence[int], network: str) -> tuple[int, int]:
    """The size of a square image's smallest map, one of `stems`, and how often it doubles up to the image.

    Raises:
      UserError: the image is not square, or of another size; the sentence begins with `network`.
    """
    height, width, _ = image_shape
    for stem in stems:
        doublings = (height // stem).bit_length() - 1
        if height == width and doublings > 0 and height == stem << doublings:
            return stem, doublings
    sizes = " or ".join(f"{stem} * 2^k ({', '.join(str(stem << k) for k in range(1, 5))}, ...)" for stem in stems)
    raise UserError(f"{network} cannot make images of {height}x{width}: use a square size {sizes}.")


def check_multiple(size: Sequence[int], multiple: int) -> None:
    """Refuses images (H, W) that a network cannot take in patches, or halve, as often as it must.

    Raises:
      UserError: a side is no multiple.
    """
    height, width = size
    if height % multiple or width % multiple:
        raise UserError(f"This network takes images whose sides are multiples of {multiple}, not {height}x{width}.")
