"""What the commands share: parsing by tyro, and calling a model in batches."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxgen.errors import UserError
from jaxgen.opened_run import Run, open_run
from jaxgen.options import Options, parse_options
from jaxgen.training.sampling import draw_conditions

MOST_CLASSES = 100_000


def parse(cls: type[Options], command: str, arguments: Sequence[str]) -> Options:
    """`cls` (a dataclass of options) from the command line; its docstring is the help.

    Raises:
      UserError: a value is not in its option's range.
    """
    return parse_options(cls, arguments, prog=f"jaxgen {command}", description=cls.__doc__ or "")


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Options of every command that opens a run: which program may be run for that."""

    experiment: Path | None = None
    """Of a run of your own experiment: the file that defines it. None: the copy in the run's folder, if this machine
    has trained with that file."""
    trust: bool = False
    """Run the program in the run's folder, which may do anything that you may, and remember it as known."""


@dataclass(frozen=True, kw_only=True)
class RunDataOptions(RunOptions):
    """Options of commands that read the data a run was trained on."""

    data: str | None = None
    """Where the run's data lie now, if they were moved: they must be the same. None: where they were in training."""
    target: Path | None = None
    """Where the targets of a translation lie now, if that folder was moved."""


def open_named(folder: Path, options: RunOptions) -> Run:
    """Open the run that a command names, by the options of that command."""
    moved = {name: value for name in ("data", "target") if (value := getattr(options, name, None)) is not None}
    return open_run(folder, experiment=options.experiment, trust=options.trust)._replace(moved=moved)


def function_of(run: Run, name: str) -> Callable[..., Any]:
    """The entry `name` of the model's functions.

    Raises:
      UserError: the model has none.
    """
    if name not in run.model.functions:
        has = ", ".join(sorted(run.model.functions)) or "nothing"
        raise UserError(f"The model of {run.experiment.name} has no function {name!r} (it has {has}).")
    return run.model.functions[name]


def check_samples(run: Run) -> None:
    """Refuses a run whose model generates nothing.

    Raises:
      UserError: a classifier, an encoder of images and texts.
    """
    if run.model.sample is None:
        raise UserError(
            f"{run.experiment.name} has no samples of its own: it classifies, tells which text an image has, or makes "
            "images from images (jaxgen restore, jaxgen translate)."
        )


def check_label(run: Run, label: int) -> None:
    """Refuses a class that a run's model does not have.

    Raises:
      UserError: it has no classes, or not this one.
    """
    labels = draw_conditions(run.model, MOST_CLASSES)
    if labels is None:
        raise UserError(f"{run.experiment.name} has no classes: leave out --label.")
    if label not in labels:
        raise UserError(
            f"--label {label} is no class of {run.experiment.name}: choose {labels.min()} to {labels.max()}."
        )


def check_output(path: Path, suffixes: Sequence[str]) -> None:
    """Refuses an output path before any work is done.

    Raises:
      UserError: another ending than those that can be written, or a folder that does not exist.
    """
    if path.suffix.lower() not in suffixes:
        raise UserError(f"--out {path} must end in {' or '.join(suffixes)}.")
    if not path.absolute().parent.is_dir():
        raise UserError(f"The folder of --out {path} does not exist: make it, or choose another.")


def check_output_folder(images: Sequence[Path], folder: Path) -> list[str]:
    """The names, without endings, under which images are written to a folder.

    Raises:
      UserError: two have one name, or the folder is a file.
    """
    names = [path.stem for path in images]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"Two images are called {twice[0]}: take them one after the other, to different --out.")
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--out {folder} is a file: name a folder.")
    return names


def in_batches(function: Callable[..., jax.Array], *items: Any, batch_size: int = 256) -> np.ndarray:
    """`function(*items)` (compiled here) over the first axis of each item, a batch at a time: memory stays bounded."""
    compiled = jax.jit(function)
    starts = range(0, len(items[0]), batch_size)
    return np.concatenate([np.asarray(compiled(*(x[i : i + batch_size] for x in items))) for i in starts])
