"""`jaxgen augment RUN --num N --out FILE.npz`: write generated examples as a data set."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from jaxgen.commands._options import RunOptions, check_images_fit, check_samples, open_named, parse
from jaxgen.commands._outputs import OutputOptions, check_output, writing
from jaxgen.commands._progress import progress_bars
from jaxgen.core.errors import UserError
from jaxgen.core.options import Seed, within
from jaxgen.core.terminal import tell
from jaxgen.data.npz_file import save_arrays
from jaxgen.runs.opened_run import restore_run
from jaxgen.samples.numbered import generated_examples


@dataclass(frozen=True, kw_only=True)
class Options(OutputOptions, RunOptions):
    """Write generated images as a data set, with their labels if the model is class-conditional.

    The file has `image` uint8 [N, H, W, C] and `label` int32 [N], where the frequencies of classes differ by at most
    one example; `jaxgen.data.load(FILE)` and every experiment with --data read it.
    """

    run: tyro.conf.Positional[Path]
    """The folder of the run."""
    num: Annotated[int, *within(1, 10**8)]
    """Number of examples."""
    out: Path
    """The .npz file to write."""
    seed: Seed = 0
    """Seed of the samples; a larger --num adds samples to those of the same seed."""
    checkpoint: str = "last"
    """The checkpoint to use: last, best, or a step."""


def main(arguments: Sequence[str]) -> None:
    options = parse(Options, "augment", arguments)
    check_output(options.out, (".npz",), overwrite=options.overwrite)
    run = open_named(options.run, options)
    check_samples(run)
    if run.record["kind"] != "image":
        raise UserError(f"{run.name} makes no images: jaxgen sample writes what it makes.")
    check_images_fit(run, options.num, f"--num {options.num}")
    state = restore_run(run, options.checkpoint)
    with progress_bars() as progress:
        examples = generated_examples(run.model, state, num=options.num, seed=options.seed, progress=progress)
    with writing(options.out) as part, part.open("wb") as file:
        save_arrays(file, examples)
    labeled = "labeled examples" if "label" in examples else "examples (without labels: the model has no classes)"
    tell(f"{options.num} {labeled} of {run.name} at step {int(state.step)}: {options.out}")
