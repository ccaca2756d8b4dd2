"""Options and values of experiments with binary MNIST digits, and how gray digits become binary."""

from dataclasses import dataclass
from typing import Annotated, Literal

from jaxgen.core.options import formerly
from jaxgen.data import Dataset, load
from jaxgen.data.binarization import binarized

BINARIZATION_SEED = 0
"""Seed of the binary test images, independent of --seed: all runs report likelihoods of the same images."""
EPOCH = 469
"""Number of steps of one epoch of MNIST, with 128 images each."""
QUICK = {"steps": 3 * EPOCH, "sample_every": EPOCH, "checkpoint_every": EPOCH}
"""Values of the preset quick."""


@dataclass(frozen=True)
class BinarizationOptions:
    """How gray digits become binary ones, at random."""

    binarization: Annotated[Literal["resampled", "fixed"], formerly("binarisation")] = "resampled"
    """Draw binary training images from the gray ones each time they are used (resampled), or once and for all (fixed).
    Test images are drawn once, with the same seed in every run."""


def load_digits(options: BinarizationOptions, *, binary: bool = True) -> Dataset:
    """Load MNIST, binary or gray."""
    data = load("mnist")
    return binarized(data, seed=BINARIZATION_SEED, train=options.binarization == "fixed") if binary else data
