"""Image sizes of networks that double or halve maps."""

from collections.abc import Sequence

from jaxgen.core.errors import UserError


def stem_and_doublings(image_shape: tuple[int, int, int], stems: Sequence[int], network: str) -> tuple[int, int]:
    """Return the size of a square image's smallest map, one of `stems`, and how often it doubles up to the image.

    Raises:
      UserError: the image is not square, or its size is not supported; the message begins with `network`.
    """
    height, width, _ = image_shape
    for stem in stems:
        doublings = (height // stem).bit_length() - 1
        if height == width and doublings > 0 and height == stem << doublings:
            return stem, doublings
    sizes = " or ".join(f"{stem} * 2^k ({', '.join(str(stem << k) for k in range(1, 5))}, ...)" for stem in stems)
    raise UserError(f"{network} cannot make images of {height}x{width}: use a square size {sizes}.")


def check_multiple(size: Sequence[int], multiple: int) -> None:
    """Refuse images (H, W) whose sides are not multiples of what a network can divide into patches or halve.

    Raises:
      UserError: a side is not a multiple.
    """
    height, width = size
    if height % multiple or width % multiple:
        raise UserError(f"This network takes images whose sides are multiples of {multiple}, not {height}x{width}.")
