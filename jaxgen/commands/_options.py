"""Shared parts of the commands: parsing by tyro, common options and checks, and calling a model in batches."""

import dataclasses
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import jax
import numpy as np

from jaxgen.commands._progress import progress_bars
from jaxgen.core.errors import UserError
from jaxgen.core.model import ImageMapping, capabilities
from jaxgen.core.option_parsing import parse_options
from jaxgen.core.options import Options
from jaxgen.core.types import AnyArray
from jaxgen.data.limits import MOST_CLASSES
from jaxgen.runs.opened_run import Run, open_run
from jaxgen.samples.numbered import draw_conditions


def parse(cls: type[Options], command: str, arguments: Sequence[str]) -> Options:
    """Parse the command line to `cls`, a dataclass of options whose docstring is the help.

    Raises:
      UserError: a value is not in its option's range.
    """
    return parse_options(cls, arguments, prog=f"jaxgen {command}", description=cls.__doc__ or "")


Capability = TypeVar("Capability")


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Options of every command that opens a run: which program may be executed for that."""

    experiment: Path | None = None
    """File that defines the experiment, for runs of your own experiments. None: the copy in the run's folder, if this
    machine has trained with that file."""
    trust: bool = False
    """Execute the program in the run's folder, which may do anything that you may, and remember it as known."""


@dataclass(frozen=True, kw_only=True)
class RunDataOptions(RunOptions):
    """Options of commands that read the data a run was trained on."""

    data: str | None = None
    """New place of the run's data if they were moved; they must be the same data. None: the place in training."""
    target: Path | None = None
    """New place of the target images of a translation if that folder was moved. None: the place in training."""


def open_named(folder: Path, options: RunOptions) -> Run:
    """Open the run that a command names, with that command's options."""
    moved = {name: value for name in ("data", "target") if (value := getattr(options, name, None)) is not None}
    run = open_run(folder, experiment=options.experiment, trust=options.trust)
    return dataclasses.replace(run, moved=moved, folder=folder)  # as it was named, in what is said


def needed(run: Run, capability: Capability | None, what: str) -> Capability:
    """Return a capability of a run's model, or one of its functions.

    Args:
      what: its name in the sentence "The model of mnist_gan has no ...".

    Raises:
      UserError: the model does not have it.
    """
    if capability is None:
        has = ", ".join(capabilities(run.model)) or "nothing else than training"
        raise UserError(f"The model of {run.name} has no {what} (it has: {has}).")
    return capability


def needed_mapping(run: Run, verb: str) -> ImageMapping:
    """Return the mapping of images of a run's model if its kind is this: "restore", "translate" or "stylize".

    Raises:
      UserError: the model has no mapping of this kind.
    """
    mapping = run.model.mapping
    if mapping is not None and mapping.verb != verb:
        raise UserError(f"{run.name} does not {verb} images: use jaxgen {mapping.verb}.")
    return needed(run, mapping, f"way to {verb} images")


def check_samples(run: Run) -> None:
    """Refuse a run whose model has no samples.

    Raises:
      UserError: the model is a classifier, an encoder of images and texts, or a mapping of images.
    """
    if run.model.sample is None:
        raise UserError(
            f"{run.name} has no samples of its own: it classifies, tells which text an image has, or makes "
            "images from images (jaxgen restore, jaxgen translate)."
        )


def check_label(run: Run, label: int) -> None:
    """Refuse a class that a run's model does not have.

    Raises:
      UserError: the model has no classes, or not this one.
    """
    labels = draw_conditions(run.model, MOST_CLASSES)
    if labels is None:
        raise UserError(f"{run.name} has no classes: leave out --label.")
    if label not in labels:
        raise UserError(f"--label {label} is no class of {run.name}: choose {labels.min()} to {labels.max()}.")


def check_images_fit(run: Run, count: int, asked: str) -> None:
    """Refuse a number of a run's images that does not fit in this machine's memory.

    Args:
      asked: the option and its value, which lead to this number.

    Raises:
      UserError: the images do not fit.
    """
    needed = count * (4 + 1) * math.prod(run.record["assets"]["image_shape"])  # float32, and the bytes that are written
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > there:
        raise UserError(
            f"{asked} takes {needed / 2**30:,.0f} GB of memory, and this machine has {there / 2**30:,.0f} GB: lower it."
        )


def in_batches(
    function: Callable[..., jax.Array],
    *items: AnyArray,
    what: str,
    batch_size: int = 256,
    before: int = 0,
    total: int | None = None,
) -> np.ndarray:
    """Apply `function(*items)`, compiled here, over the items' first axis, a batch at a time to bound memory.

    Args:
      what: description of the work, shown with the number of items that are done.
      before: number of items done by earlier calls, if this is one call of several.
      total: number of items of all calls; None: of this one.
    """
    compiled, count, outputs = jax.jit(function), len(items[0]), []
    with progress_bars() as progress:
        for start in range(0, count, batch_size):
            progress(what, before + start, total or count)
            outputs.append(np.asarray(compiled(*(x[start : start + batch_size] for x in items))))
        progress(what, before + count, total or count)
    return np.concatenate(outputs)
