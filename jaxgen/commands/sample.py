"""`jaxgen sample RUN`: samples as a sheet or as raw arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from jaxgen.commands._options import check_output, check_samples, parse
from jaxgen.errors import UserError
from jaxgen.opened_run import open_run, restore_run
from jaxgen.training.pictures import image_grid
from jaxgen.training.sampling import draw_samples


@dataclass(frozen=True)
class Options:
    """Draws samples from a run; it needs nothing but the run folder."""

    run: tyro.conf.Positional[Path]
    """The folder of the run."""
    num: int = 64
    """How many samples."""
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
    state = restore_run(run, options.checkpoint)
    samples = draw_samples(run.model, state, num=options.num, seed=options.seed)
    if options.out.suffix.lower() == ".npz":
        np.savez_compressed(options.out, samples=samples)
    else:
        image_grid(samples).save(options.out)
    print(f"{options.num} samples of {run.experiment.name} at step {int(state.step)}: {options.out}")
