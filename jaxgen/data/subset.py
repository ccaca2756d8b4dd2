"""Parts of data sets, and joined data sets."""

import dataclasses

import numpy as np

from jaxgen.core.errors import UserError
from jaxgen.data.dataset import Dataset, is_resident, length


def few_per_class(data: Dataset, count: int, *, seed: int) -> Dataset:
    """Return `data` with `count` training examples of each class, chosen by `seed`, and its whole test split.

    Raises:
      UserError: there are no labels, or a class has fewer examples.
    """
    train = data.train
    if not is_resident(train) or "label" not in train:
        raise UserError(f"{data.name} has no labels in memory to choose examples of each class by.")
    labels = train["label"]
    counts = np.bincount(labels)
    if not 1 <= count <= counts.min():
        raise UserError(f"Each class of {data.name} has 1 to {counts.min()} training examples to choose, not {count}.")
    order = np.random.default_rng(seed).permutation(len(labels))
    chosen = np.concatenate([order[labels[order] == label][:count] for label in range(len(counts))])
    return dataclasses.replace(data, train={name: values[np.sort(chosen)] for name, values in train.items()})


def joined(data: Dataset, more: Dataset) -> Dataset:
    """Join the training examples of both, repeating those of `data` until they are at least as many as those of `more`.

    Raises:
      UserError: `more` has no labels, or images of another shape.
    """
    own, added = data.train, more.train
    assert is_resident(own)
    assert is_resident(added)
    if "label" not in added:
        raise UserError(f"{more.name} has no labels: it must come from a class-conditional model (jaxgen augment).")
    if added["image"].shape[1:] != own["image"].shape[1:]:
        raise UserError(
            f"{more.name} has images of shape {list(added['image'].shape[1:])}, but {data.name} of "
            f"{list(own['image'].shape[1:])}: they must be the same."
        )
    repeats = -(-length(added) // length(own))
    train = {name: np.concatenate([np.concatenate([own[name]] * repeats), added[name]]) for name in ("image", "label")}
    identity = None if data.identity is None or more.identity is None else data.identity | more.identity
    return dataclasses.replace(data, train=train, identity=identity, notes=data.notes + more.notes)
