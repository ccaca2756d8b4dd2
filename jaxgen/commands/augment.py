"""`jaxgen augment RUN --num N --out FILE.npz`: generated examples to train something else on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from jaxgen.commands._options import RunOptions, check_output, check_samples, open_named, parse
from jaxgen.errors import UserError
from jaxgen.opened_run import restore_run
from jaxgen.options import Seed, within
from jaxgen.training.sampling import generated_examples


@dataclass(frozen=True)
class Options(RunOptions):
    """Writes generated images, with their labels if the model is class-conditional, as a data set.

    The file has `image` uint8 [N, H, W, C] and `label` int32 [N], every class equally often but for one example;
    `jaxgen.data.load(FILE)` and every experiment with --data read it.
    """

    run: tyro.conf.Positional[Path]
    """The folder of the run."""
    num: Annotated[int, *within(1, 10**8)]
    """How many examples."""
    out: Path
    """The .npz file they go to."""
    seed: Seed = 0
    """Seed of the samples: the same seed gives the same samples, and more of them with a larger --num."""
    checkpoint: str = "last"
    """The checkpoint to use: last, best, or a step."""


def main(arguments: Sequence[str]) -> None:
    options = parse(Options, "augment", arguments)
    check_output(options.out, (".npz",))
    run = open_named(options.run, options)
    check_samples(run)
    if run.record["kind"] != "image":
        raise UserError(f"{run.experiment.name} makes no images: jaxgen sample writes what it makes.")
    state = restore_run(run, options.checkpoint)
    examples = generated_examples(run.model, state, num=options.num, seed=options.seed)
    np.savez_compressed(options.out, **examples)
    labelled = "labelled examples" if "label" in examples else "examples (without labels: the model has no classes)"
    print(f"{options.num} {labelled} of {run.experiment.name} at step {int(state.step)}: {options.out}")
