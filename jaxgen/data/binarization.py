"""Binarized images, for likelihoods of MNIST as they are usually reported."""

import dataclasses

import numpy as np

from jaxgen.core.errors import UserError
from jaxgen.data.dataset import Dataset, Split, is_resident

_TEST, _TRAIN = 0, 1


def binarized(data: Dataset, *, seed: int, train: bool) -> Dataset:
    """Return `data` with images binarized at random once: each value becomes 255 with probability value / 255, else 0.

    The test split is always binarized, so that likelihoods from any model are of the same images. The training split is
    binarized only if `train` is set (a fixed binarization: Salakhutdinov and Murray 2008, section 6). Otherwise its
    gray values stay, for a model that binarizes them anew at each step (`jaxgen.models.likelihoods.bernoulli`). Images
    are never thresholded, which would make digits smoother than random binarization does and their likelihood far
    higher.

    Args:
      seed: seed of NumPy's random numbers; each split has its own stream.

    Raises:
      UserError: the images are not uint8 arrays in memory.
    """

    def draw(split: Split, stream: int) -> Split:
        if not is_resident(split) or split["image"].dtype != np.uint8:
            raise UserError(f"{data.name} cannot be made binary: its images must be uint8 arrays in memory.")
        rng = np.random.default_rng([seed, stream])
        white = rng.integers(0, 255, split["image"].shape, np.uint8) < split["image"]  # 0..254
        return {**split, "image": np.where(white, np.uint8(255), np.uint8(0))}

    which = "binarised" if train else "test images binarised"  # as runs have recorded it
    return dataclasses.replace(
        data,
        name=f"{data.name}, {which} (seed {seed})",
        train=draw(data.train, _TRAIN) if train else data.train,
        test=None if data.test is None else draw(data.test, _TEST),
    )
