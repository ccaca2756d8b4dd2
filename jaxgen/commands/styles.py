"""`jaxgen styles RUN WHAT`: show what the styles of a StyleGAN2 do."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import tyro

from jaxgen.commands._options import RunOptions, check_label, in_batches, needed, open_named, parse
from jaxgen.commands._outputs import OutputOptions, check_output
from jaxgen.commands._rows import write_rows
from jaxgen.core.errors import UserError
from jaxgen.core.options import CountFromZero, Length, Number, Seed, within
from jaxgen.core.state import TrainState
from jaxgen.core.terminal import tell
from jaxgen.core.types import present
from jaxgen.editing import styles as maths
from jaxgen.runs.opened_run import Run, restore_run
from jaxgen.samples.numbered import labels_of_samples

What = Literal["mixing", "truncation"]
BAND = Literal["coarse", "middle", "fine"]


@dataclass(frozen=True, kw_only=True)
class Options(OutputOptions, RunOptions):
    """Show what the styles of a StyleGAN2 do.

    mixing      a table of images with the styles of the image in the first
                row, except for a band of styles from the image in the first
                column: the coarse styles (pose, shape), then the middle,
                then the fine ones (colors, detail)
    truncation  images on the way from the average of all (0) to themselves
                (1) and beyond
    """

    run: tyro.conf.Positional[Path]
    """The folder of the run."""
    what: tyro.conf.Positional[What]
    """What to show."""
    rows: Annotated[int, *within(0, 1_000)] = 0
    """Number of images in the first column, for each band of mixing. 0: 2 for mixing, 8 for truncation."""
    columns: Annotated[int, *within(1, 1_000)] = 8
    """Number of images in the first row of mixing."""
    bands: tuple[BAND, ...] = ("coarse", "middle", "fine")
    """Bands of styles that mixing takes from the images in the first column."""
    amounts: Annotated[tuple[Number, ...], Length(1, 1_000)] = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25)
    """Amounts of truncation, one column for each."""
    truncation: Annotated[float, *within(-10, 10)] = 1.0
    """Truncation of all styles of mixing."""
    label: CountFromZero | None = None
    """Class of all images, for models with classes. None: every class in turn."""
    seed: Seed = 0
    """Seed of the latents."""
    out: Path | None = None
    """The picture to write (.png). None: styles_WHAT.png."""
    checkpoint: str = "last"
    """The checkpoint to use: last, best, or a step."""


class Subject(NamedTuple):
    """A run with its state and the options."""

    options: Options
    run: Run
    state: TrainState

    def styles(self, count: int, truncation: float = 1.0) -> jax.Array:
        """Return styles [count, N, S] of latents drawn with the seed."""
        latents = present(self.run.model.latents).prior(jax.random.key(self.options.seed), count)
        labels = labels_of_samples(self.run.model, count, self.options.label)
        condition = () if labels is None else (labels,)
        return present(self.run.model.styles).of_latents(self.state, latents, *condition, truncation=truncation)

    def images(self, styles: jax.Array) -> np.ndarray:
        """Synthesize styles [n, N, S] to images [n, H, W, C] in [-1, 1], all with the same noise."""
        synthesize = present(self.run.model.styles).synthesize
        return in_batches(
            lambda styles: jnp.clip(synthesize(self.state, styles), -1.0, 1.0), styles, what="drawing", batch_size=64
        )


def mixing(subject: Subject) -> tuple[list[np.ndarray], str]:
    options = subject.options
    rows, columns = options.rows or 2, options.columns
    styles = subject.styles(columns + rows * len(options.bands), options.truncation)
    into, taken = styles[:columns], styles[columns:]
    bands = maths.style_bands(styles.shape[1])
    if missing := [name for name in options.bands if name not in bands]:
        raise UserError(f"The maps of this model are too few for {missing[0]} styles: name others with --bands.")
    first = subject.images(styles)
    shown = [np.concatenate([np.ones_like(first[:1]), first[:columns]])]
    for i, name in enumerate(options.bands):
        chosen = slice(i * rows, (i + 1) * rows)
        grid = maths.mixed(into, taken[chosen], bands[name])  # [rows, columns, N, S]
        made = np.split(subject.images(grid.reshape(-1, *grid.shape[2:])), rows)
        sources = first[columns:][chosen]
        shown += [np.concatenate([source[None], row]) for source, row in zip(sources, made, strict=True)]
    named = ", ".join(f"{name} ({rows})" for name in options.bands)
    return shown, f"the first row with styles of the first column: {named}"


def truncation(subject: Subject) -> tuple[list[np.ndarray], str]:
    options = subject.options
    rows = options.rows or 8
    average = present(subject.run.model.styles).average(subject.state)
    styles = maths.truncated(subject.styles(rows), average, jnp.array(options.amounts))
    images = np.split(subject.images(styles.reshape(-1, *styles.shape[2:])), rows)
    return images, f"{rows} images, truncated by {', '.join(f'{amount:g}' for amount in options.amounts)}"


SHOWN: dict[str, Callable[[Subject], tuple[list[np.ndarray], str]]] = {"mixing": mixing, "truncation": truncation}


def main(arguments: Sequence[str]) -> None:
    options = parse(Options, "styles", arguments)
    run = open_named(options.run, options)
    needed(run, run.model.styles, "styles")
    if options.label is not None:
        check_label(run, options.label)
    out = options.out or Path(f"styles_{options.what}.png")
    check_output(out, (".png",), overwrite=options.overwrite)
    shown, said = SHOWN[options.what](Subject(options, run, restore_run(run, options.checkpoint)))
    write_rows(run, shown, out)
    tell(f"{run.name}: {said}: {out}")
