"""`jaxgen sample RUN`: samples as a sheet or as raw arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
import tyro

from jaxgen.commands._options import check_output, parse
from jaxgen.errors import UserError
from jaxgen.experiment import Run, open_run, restore_run
from jaxgen.training.pictures import image_grid
from jaxgen.training.state import TrainState

BATCH_SIZE = 250


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
    step: int | None = None
    """The checkpoint to use. None: the latest."""


def draw_samples(run: Run, state: TrainState, *, num: int, seed: int) -> np.ndarray:
    """[num, ...] samples, drawn in blocks of `BATCH_SIZE`, block i from `fold_in(key(seed), i)`.

    Raises:
      UserError: the model generates nothing.
    """
    if run.model.sample is None:
        raise UserError(f"{run.experiment.name} is no generative model: it has no samples.")
    draw = jax.jit(lambda state, key: run.model.sample(state, key, BATCH_SIZE))
    key = jax.random.key(seed)
    blocks = -(-num // BATCH_SIZE)
    return np.concatenate([np.asarray(draw(state, jax.random.fold_in(key, i))) for i in range(blocks)])[:num]


def main(arguments: Sequence[str]) -> None:
    options = parse(Options, "sample", arguments)
    check_output(options.out, (".png", ".npz"))
    if options.num < 1:
        raise UserError(f"--num must be at least 1, not {options.num}.")
    run = open_run(options.run)
    state = restore_run(run, options.step)
    samples = draw_samples(run, state, num=options.num, seed=options.seed)
    if options.out.suffix.lower() == ".npz":
        np.savez_compressed(options.out, samples=samples)
    else:
        image_grid(samples).save(options.out)
    print(f"{options.num} samples of {run.experiment.name} at step {int(state.step)}: {options.out}")
