"""Images of any size through a network that was trained on small ones."""

import math
from collections.abc import Callable, Sequence

import jax
import numpy as np

from jaxgen.commands._options import in_batches

TILE, MARGIN = 112, 40
"""Margin of a tile in pixels: the receptive field of the paper's SRResNet with 16 blocks is 40 pixels to each side."""
TILES_AT_ONCE = 8


def tiles_of(shape: Sequence[int]) -> int:
    """Return the number of tiles of an image [h, w, ...], including those that fill up the last batch."""
    tiles = math.prod(-(-side // TILE) for side in shape[:2])
    return tiles + -tiles % TILES_AT_ONCE


def in_tiles(
    function: Callable[[jax.Array], jax.Array], given: np.ndarray, what: str, *, before: int, total: int
) -> np.ndarray:
    """Apply `function`, [B, h, w, C'] -> [B, h f, w f, C], to one image [h, w, C'] by tiles; return [h f, w f, C].

    Tiles of 112x112 are computed with a margin of 40 pixels, so that memory does not grow with the image and an
    SRResNet leaves no seams between tiles; networks with instance norm, or whose outputs depend on all pixels, see each
    tile by itself. Beyond its border the image is mirrored. All calls of `function` have the same shapes.

    `what`, `before` and `total` are those of `in_batches`.
    """
    height, width = given.shape[:2]
    rows, columns = -(-height // TILE), -(-width // TILE)
    pads = [(MARGIN, MARGIN + count * TILE - size) for count, size in ((rows, height), (columns, width))]
    padded = np.pad(given, (*pads, (0, 0)), mode="symmetric")
    side = TILE + 2 * MARGIN
    tiles = [
        padded[row * TILE : row * TILE + side, column * TILE : column * TILE + side]
        for row in range(rows)
        for column in range(columns)
    ]
    whole = -len(tiles) % TILES_AT_ONCE
    outputs = in_batches(
        function,
        np.stack(tiles + tiles[:1] * whole),
        what=what,
        batch_size=TILES_AT_ONCE,
        before=before,
        total=total,
    )[: len(tiles)]
    factor = outputs.shape[1] // side
    inner = slice(MARGIN * factor, (MARGIN + TILE) * factor)
    cut = outputs[:, inner, inner].reshape(rows, columns, TILE * factor, TILE * factor, -1)
    joined = cut.transpose(0, 2, 1, 3, 4).reshape(rows * TILE * factor, columns * TILE * factor, -1)
    return joined[: height * factor, : width * factor]
