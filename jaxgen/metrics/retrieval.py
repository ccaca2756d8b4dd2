"""Retrieval: whether the nearest of many captions is an image's own (Radford et al. 2021, arXiv:2103.00020)."""

from typing import NamedTuple

import numpy as np

from jaxgen.core.errors import UserError
from jaxgen.metrics.feature_arrays import check_features, check_numbers


class Retrieval(NamedTuple):
    """Shares of images, between 0 and 1."""

    top1: float
    """Share whose own caption is the nearest of all candidates."""
    top5: float
    """Share whose own caption is among the five nearest."""
    standard_error: float
    """Standard error of `top1` for independent images."""


def caption_ranks(
    images: np.ndarray, captions: np.ndarray, own: np.ndarray, *, among: int = 100, seed: int = 0
) -> np.ndarray:
    """Return how many of the other candidate captions are at least as near to an image as its own: int [N].

    The candidates of an image are its own caption and `among` - 1 others, chosen by the seed (fewer if there are
    fewer). Captions that are equally near count against it, so that an encoder that maps everything to one vector has
    no hits.

    Args:
      images: vectors [N, E] of length 1.
      captions: vectors [M, E] of length 1, of different captions.
      own: int [N], the number of each image's caption.
      among: number of candidates, at least 2, including the image's own caption.

    Raises:
      UserError: the vectors are not [N, E] and [M, E], a caption's number does not exist, or `among` is below 2.
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
    """Return the shares of images whose caption is found, from the ranks [N] of `caption_ranks`.

    Raises:
      UserError: the ranks are not one integer of at least 0 an image.
    """
    ranks = check_numbers("ranks", ranks)
    top1 = float(np.mean(ranks < 1))
    return Retrieval(top1, float(np.mean(ranks < 5)), float(np.sqrt(top1 * (1.0 - top1) / len(ranks))))
