"""`jaxgen inpaint RUN`: let a diffusion model draw hidden parts of images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import jax
import numpy as np
import tyro

from jaxgen.commands._options import RunDataOptions, needed, open_named, parse
from jaxgen.commands._outputs import OutputOptions, check_output, writing
from jaxgen.commands._progress import doing
from jaxgen.commands._sampling_options import SamplingOptions, sampling_options
from jaxgen.core.errors import UserError
from jaxgen.core.options import CountFromZero, Length, Seed, within
from jaxgen.core.terminal import tell
from jaxgen.data.dataset import length, pick_examples, prepared
from jaxgen.models.diffusion.samplers import REPEATS
from jaxgen.runs.opened_run import restore_run
from jaxgen.runs.run_data import load_run_data
from jaxgen.samples.pictures import image_grid

GRAY = 0.0
ENTRIES = {"class": "label", "caption": "caption"}
"""The entry of a batch that is the condition, by the condition's kind."""

HIDDEN: dict[str, Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]] = {
    "top": lambda y, x, generator: y < 0.5,
    "bottom": lambda y, x, generator: y >= 0.5,
    "left": lambda y, x, generator: x < 0.5,
    "right": lambda y, x, generator: x >= 0.5,
    "centre": lambda y, x, generator: (abs(y - 0.5) < 0.25) & (abs(x - 0.5) < 0.25),
    "pixels": lambda y, x, generator: generator.random(y.shape) < 0.75,
}
"""(row, column, each in 0..1, generator) -> whether the pixel is hidden, by name."""


@dataclass(frozen=True, kw_only=True)
class Options(OutputOptions, SamplingOptions, RunDataOptions):
    """Hide a part of held-out images and let a diffusion model draw it.

    Each row shows an image, its known part, and the drawings.
    """

    run: tyro.conf.Positional[Path]
    """The folder of the run."""
    hide: Literal[tuple(HIDDEN)] = "bottom"
    """The part to hide: a half, the quarter in the middle, or three quarters of the pixels at random."""
    examples: Annotated[tuple[CountFromZero, ...], Length(0, 10_000)] = ()
    """Numbers of held-out images, from 0. Empty: the first ones."""
    rows: Annotated[int, *within(1, 1_000)] = 8
    """Number of images if --examples is empty."""
    draws: Annotated[int, *within(1, 1_000)] = 6
    """Number of drawings of each image."""
    repeats: Annotated[int, *within(1, 1_000)] = REPEATS
    """How often each step is taken, with noise added in between (RePaint), so that the drawn part fits the known part;
    the time grows by this factor."""
    seed: Seed = 0
    """Seed of the drawings."""
    out: Path = Path("inpainted.png")
    """The picture to write (.png)."""
    checkpoint: str = "last"
    """The checkpoint to use: last, best, or a step."""


def main(arguments: Sequence[str]) -> None:
    options = parse(Options, "inpaint", arguments)
    run = open_named(options.run, options)
    denoising = needed(run, run.model.denoising, "diffusion, which fills in")
    how = sampling_options(run, options)
    check_output(options.out, (".png",), overwrite=options.overwrite)
    state = restore_run(run, options.checkpoint)
    data = load_run_data(run)
    split = data.train if data.test is None else data.test
    numbers = options.examples or range(min(options.rows, length(split)))
    if wrong := [n for n in numbers if not 0 <= n < length(split)]:
        raise UserError(f"--examples has {wrong[0]}, but the held-out images are 0 to {length(split) - 1}.")
    batch = prepared(data, pick_examples(split, list(numbers)))
    images = np.asarray(batch["image"])
    height, width = images.shape[1:3]
    y, x = (place + 0.5 for place in np.mgrid[:height, :width])
    hidden = HIDDEN[options.hide](y / height, x / width, np.random.default_rng(options.seed))
    mask = np.broadcast_to(~hidden[..., None], (*images.shape[:3], 1)).astype(np.float32)
    condition = run.model.condition
    entries = [] if condition is None else [ENTRIES[condition.kind]]
    given = [batch[entry] for entry in entries]
    repeated = [np.repeat(array, options.draws, axis=0) for array in (images, mask, *given)]
    draw = jax.jit(lambda key, *inputs: denoising.inpaint(state, key, *inputs, repeats=options.repeats, **how))
    with doing(f"drawing what is hidden of {len(images)} images"):
        drawn = np.asarray(draw(jax.random.key(options.seed), *repeated))
    drawn = drawn.reshape(-1, options.draws, *images.shape[1:])
    left = np.where(mask > 0, images, GRAY)
    tiles = np.concatenate([images[:, None], left[:, None], drawn], axis=1)  # [rows, 2 + draws, H, W, C]
    with writing(options.out) as part:
        image_grid(tiles.reshape(-1, *images.shape[1:]), columns=2 + options.draws).save(part)
    tell(f"{len(images)} images, {options.hide} hidden, each drawn {options.draws} times: {options.out}")
