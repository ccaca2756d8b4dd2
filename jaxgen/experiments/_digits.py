"""What the experiments with binary MNIST digits share: how gray digits become binary, and how long runs take."""

from dataclasses import dataclass
from typing import Annotated, Literal

from jaxgen.core.options import formerly
from jaxgen.data import Dataset, load
from jaxgen.data.binarization import binarized

BINARIZATION_SEED = 0
"""Seed of the test images, whatever --seed is: likelihoods of all runs are of the same images."""
EPOCH = 469
"""Steps of one epoch of MNIST with 128 images each."""
QUICK = {"steps": 3 * EPOCH, "sample_every": EPOCH, "checkpoint_every": EPOCH}
"""Values of the preset quick."""


@dataclass(frozen=True)
class BinarizationOptions:
    """How gray digits become binary ones, by chance."""

    binarization: Annotated[Literal["resampled", "fixed"], formerly("binarisation")] = "resampled"
    """Binary training images are drawn from the gray ones anew whenever they are seen (resampled), or once and for all
    (fixed); test images always once, by the same seed in every run."""


def load_digits(options: BinarizationOptions, *, binary: bool = True) -> Dataset:
    """Load MNIST, binary or gray."""
    data = load("mnist")
    return binarized(data, seed=BINARIZATION_SEED, train=options.binarization == "fixed") if binary else data
