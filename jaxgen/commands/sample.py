"""`jaxgen sample RUN`: samples as a sheet or as raw arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from jaxgen.commands._options import check_label, check_output, check_samples, parse
from jaxgen.errors import UserError
from jaxgen.opened_run import open_run, restore_run
from jaxgen.training.pictures import sample_sheet
from jaxgen.training.sampling import draw_conditions, draw_samples


@dataclass(frozen=True)
class Options:
    """Draws samples from a run; it needs nothing but the run folder."""

    run: tyro.conf.Positional[Path]
    """The folder of the run."""
    num: int = 64
    """How many samples."""
    label: int | None = None
    """The number of the class that they are of. None: every class in turn, a row of the sheet for each."""
    seed: int = 0
    """Seed of the samples: the same seed gives the same samples, and more of them with a larger --num."""
    out: Path = Path("sheet.png")
    """Where they go: a sheet (.png) or the raw arrays in [-1, 1] (.npz, entry `samples`)."""
    checkpoint: str = "last"
    """The checkpoint to use: last, best, or a step."""


def main(arguments: Sequence[str]) -> None:
    options = parse(Options, "sample", arguments)
    check_output(options.out, (".png", ".npz"))
    if options.num < 1:
        raise UserError(f"--num must be at least 1, not {options.num}.")
    run = open_run(options.run)
    check_samples(run)
    labels, condition = draw_conditions(run.model, options.num), None
    if options.label is not None:
        check_label(run, options.label)
        labels = condition = np.full_like(labels, options.label)
    state = restore_run(run, options.checkpoint)
    samples = draw_samples(run.model, state, num=options.num, seed=options.seed, condition=condition)
    if options.out.suffix.lower() == ".npz":
        np.savez_compressed(options.out, samples=samples)
    else:
        sample_sheet(samples, labels).save(options.out)
    of_class = "" if condition is None else f", class {options.label},"
    print(f"{options.num} samples of {run.experiment.name}{of_class} at step {int(state.step)}: {options.out}")
