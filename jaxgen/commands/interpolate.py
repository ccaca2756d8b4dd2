"""`jaxgen interpolate RUN`: walk between latents of a run."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import jax
import numpy as np
import tyro

from jaxgen.commands._options import RunOptions, in_batches, needed, open_named, parse
from jaxgen.commands._outputs import OutputOptions, check_output, writing
from jaxgen.commands._rows import write_rows
from jaxgen.core.options import Seed, within
from jaxgen.core.terminal import tell
from jaxgen.editing.latents import walk
from jaxgen.runs.opened_run import restore_run
from jaxgen.samples.numbered import draw_conditions
from jaxgen.samples.pictures import image_grid, save_gif


@dataclass(frozen=True, kw_only=True)
class Options(OutputOptions, RunOptions):
    """Walk between random latents of a run: a grid of images (.png), one row per pair, a looping animation (.gif), or
    lines of text."""

    run: tyro.conf.Positional[Path]
    """The folder of the run."""
    rows: Annotated[int, *within(1, 1_000)] = 8
    """Number of walks (the tiles of each frame of a GIF)."""
    steps: Annotated[int, *within(2, 10_000)] = 10
    """Number of images, or lines, of each walk, including both ends."""
    seed: Seed = 0
    """Seed of the latents."""
    out: Path | None = None
    """The file to write: .png or .gif for images, .txt for texts. None: interpolation.png, or the terminal."""
    checkpoint: str = "last"
    """The checkpoint to use: last, best, or a step."""


def main(arguments: Sequence[str]) -> None:
    options = parse(Options, "interpolate", arguments)
    run = open_named(options.run, options)
    latents = needed(run, run.model.latents, "latents")
    of_text = run.record["kind"] == "text"
    out = Path("interpolation.png") if options.out is None and not of_text else options.out
    if out is not None:
        check_output(out, (".txt",) if of_text else (".png", ".gif"), overwrite=options.overwrite)
    state = restore_run(run, options.checkpoint)
    ends = latents.prior(jax.random.key(options.seed), 2 * options.rows).reshape(options.rows, 2, -1)
    walks = walk(ends[:, 0], ends[:, 1], options.steps, spherical=True)  # [rows, steps, L]
    labels = draw_conditions(run.model, options.rows)  # one for a whole walk
    condition = () if labels is None else (np.repeat(labels, options.steps, axis=0),)
    points = walks.reshape(options.rows * options.steps, -1)
    decoded = in_batches(lambda *inputs: latents.decode(state, *inputs), points, *condition, what="decoding")
    rows = np.split(decoded, options.rows)
    if out is None or out.suffix.lower() != ".gif":
        write_rows(run, rows, out)
    else:
        frames = np.stack(rows, axis=1)  # [steps, rows, H, W, C]
        there_and_back = np.concatenate([frames, frames[-2:0:-1]])
        with writing(out) as part:
            save_gif([image_grid(frame) for frame in there_and_back], part, seconds=0.12 * len(there_and_back))
    if out is not None:
        tell(f"{options.rows} walks of {options.steps} {'lines' if of_text else 'images'}: {out}")
