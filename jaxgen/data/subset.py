"""Parts of a data set, and sets joined."""

import dataclasses

import numpy as np

from jaxgen.core.errors import UserError
from jaxgen.data.dataset import Dataset, is_resident, length


def few_per_class(data: Dataset, count: int, *, seed: int) -> Dataset:
    """`data` with `count` training examples of each class, chosen by `seed`; its test split is whole.

    Raises:
      UserError: no labels, or a class with fewer examples.
    """
    if not is_resident(data.train) or "label" not in data.train:
        raise UserError(f"{data.name} has no labels in memory to choose examples of each class by.")
    labels = data.train["label"]
    counts = np.bincount(labels)
    if not 1 <= count <= counts.min():
        raise UserError(f"Each class of {data.name} has 1 to {counts.min()} training examples to choose, not {count}.")
    order = np.random.default_rng(seed).permutation(len(labels))
    chosen = np.concatenate([order[labels[order] == label][:count] for label in range(len(counts))])
    return dataclasses.replace(data, train={name: values[np.sort(chosen)] for name, values in data.train.items()})


def joined(data: Dataset, more: Dataset) -> Dataset:
    """The training examples of both, those of `data` repeated until they are at least as many as those of `more`.

    Raises:
      UserError: `more` has no labels, or images of another shape.
    """
    if "label" not in more.train:
        raise UserError(f"{more.name} has no labels: it must come from a class-conditional model (jaxgen augment).")
    if more.train["image"].shape[1:] != data.train["image"].shape[1:]:
        raise UserError(
            f"{more.name} has images of shape {list(more.train['image'].shape[1:])}, but {data.name} of "
            f"{list(data.train['image'].shape[1:])}: they must be the same."
        )
    repeats = -(-length(more.train) // length(data.train))
    train = {
        name: np.concatenate([np.concatenate([data.train[name]] * repeats), more.train[name]])
        for name in ("image", "label")
    }
    identity = None if data.identity is None or more.identity is None else data.identity | more.identity
    return dataclasses.replace(data, train=train, identity=identity, notes=data.notes + more.notes)
