"""Retrieval: whether the nearest of many captions is an image's own (Radford et al. 2021, arXiv:2103.00020)."""

from typing import NamedTuple

import numpy as np

from jaxgen.core.errors import UserError
from jaxgen.metrics.feature_arrays import check_features, check_numbers


class Retrieval(NamedTuple):
    """Shares of images, between 0 and 1."""

    top1: float
    """Share whose own caption is the nearest of all that they were offered."""
    top5: float
    """Share whose own caption is among the five nearest."""
    standard_error: float
    """Of `top1`, images being independent."""


def caption_ranks(
    images: np.ndarray, captions: np.ndarray, own: np.ndarray, *, among: int = 100, seed: int = 0
) -> np.ndarray:
    """How many of the other captions that an image is offered are as near to it as its own, or nearer: int [N].

    An image is offered its own caption and `among` - 1 others, chosen by the seed (fewer where there are fewer). Others
    that are as near count against it, so that an encoder that gives everything one vector finds nothing.

    Args:
      images: vectors [N, E] of length 1.
      captions: vectors [M, E] of length 1, of different captions.
      own: int [N], the number of each image's caption.
      among: at least 2, the image's own caption included.

    Raises:
      UserError: vectors that are not [N, E] and [M, E], numbers of captions that are not there, or `among` below 2.
    """
    images, captions = check_features(image=images, caption=captions)
    own = check_numbers("numbers of the images' captions", own, count=len(images), below=len(captions))
    if among < 2:
        raise UserError(f"An image is offered at least 2 captions, its own and another, not {among}.")
    rng, count = np.random.default_rng(seed), len(captions)
    similarities = np.asarray(images, np.float64) @ np.asarray(captions, np.float64).T  # [N, M]
    ranks = np.empty(len(images), np.int64)
    for i, (row, number) in enumerate(zip(similarities, own, strict=True)):
        others = np.delete(np.arange(count), number)
        offered = rng.permutation(others)[: among - 1]
        ranks[i] = np.sum(row[offered] >= row[number])
    return ranks


def retrieval_scores(ranks: np.ndarray) -> Retrieval:
    """Return the shares of images that find their caption, of the ranks [N] that `caption_ranks` gives.

    Raises:
      UserError: ranks that are not one integer of at least 0 an image.
    """
    ranks = check_numbers("ranks", ranks)
    top1 = float(np.mean(ranks < 1))
    return Retrieval(top1, float(np.mean(ranks < 5)), float(np.sqrt(top1 * (1.0 - top1) / len(ranks))))
