"""Training on a few digits of each class: the option, and the loading."""

from dataclasses import dataclass

from jaxgen.core.options import Count
from jaxgen.data import Dataset, load
from jaxgen.data.subset import few_per_class
from jaxgen.training.config import RunOptions


@dataclass(frozen=True)
class SubsetOptions:
    """The training images to learn from."""

    per_class: Count | None = None
    """Train on this many images of each class only, chosen by --seed. None: all."""


def load_subset(options: SubsetOptions, run: RunOptions) -> Dataset:
    """Load MNIST, or a few images of each class."""
    data = load("mnist")
    return data if options.per_class is None else few_per_class(data, options.per_class, seed=run.seed)
