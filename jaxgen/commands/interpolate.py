"""`jaxgen interpolate RUN`: what lies between latents."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
import tyro

from jaxgen.commands._options import check_output, function_of, in_batches, parse
from jaxgen.errors import UserError
from jaxgen.latents import walk
from jaxgen.opened_run import open_run, restore_run
from jaxgen.training.pictures import image_grid, save_gif
from jaxgen.training.sampling import draw_conditions


@dataclass(frozen=True)
class Options:
    """Walks between random latents of a run: a grid (.png), one row a pair, or a looping animation (.gif)."""

    run: tyro.conf.Positional[Path]
    """The folder of the run."""
    rows: int = 8
    """How many walks (the tiles of each frame of a GIF)."""
    steps: int = 10
    """Images of each walk, both ends among them."""
    seed: int = 0
    """Seed of the latents."""
    out: Path = Path("interpolation.png")
    """Where it goes: .png or .gif."""
    checkpoint: str = "last"
    """The checkpoint to use: last, best, or a step."""


def main(arguments: Sequence[str]) -> None:
    options = parse(Options, "interpolate", arguments)
    check_output(options.out, (".png", ".gif"))
    if options.rows < 1 or options.steps < 2:
        raise UserError("--rows must be at least 1 and --steps at least 2.")
    run = open_run(options.run)
    prior, decode = function_of(run, "prior"), function_of(run, "decode")
    state = restore_run(run, options.checkpoint)
    ends = prior(jax.random.key(options.seed), 2 * options.rows).reshape(options.rows, 2, -1)
    walks = walk(ends[:, 0], ends[:, 1], options.steps, spherical=True)  # [rows, steps, L]
    labels = draw_conditions(run.model, options.rows)  # one for a whole walk
    condition = () if labels is None else (np.repeat(labels, options.steps, axis=0),)
    points = walks.reshape(options.rows * options.steps, -1)
    images = in_batches(lambda *inputs: decode(state, *inputs), points, *condition)
    if options.out.suffix.lower() == ".png":
        image_grid(images, columns=options.steps).save(options.out)
    else:
        frames = images.reshape(options.rows, options.steps, *images.shape[1:]).swapaxes(0, 1)
        there_and_back = np.concatenate([frames, frames[-2:0:-1]])
        save_gif([image_grid(frame) for frame in there_and_back], options.out, seconds=0.12 * len(there_and_back))
    print(f"{options.rows} walks of {options.steps} images: {options.out}")
