"""`jaxgen stylize CONTENT STYLE`: redraw a picture in the style of another."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
import tyro

from jaxgen.commands._options import RunOptions, needed_mapping, open_named, parse
from jaxgen.commands._outputs import OutputOptions, check_output, writing
from jaxgen.commands._progress import doing, progress_bars
from jaxgen.core.options import Count, NonNegativeFloat, within
from jaxgen.core.terminal import tell
from jaxgen.data.dataset import scaled, unscale_images
from jaxgen.data.picture_file import read_scaled
from jaxgen.editing.style_transfer import stylize_image
from jaxgen.models.image_to_image.stylization import Losses, Weights
from jaxgen.runs.opened_run import restore_run
from jaxgen.samples.pictures import save_image

SIDES = 4
"""Sides of images for a run's network are multiples of this, since it halves the size twice."""


@dataclass(frozen=True, kw_only=True)
class Options(OutputOptions, RunOptions):
    """Redraw a picture in the style of another (Gatys et al. 2016), by the feature maps of EfficientNet-Lite0, or in a
    single pass in the style that a run of photo_style has learned.
    """

    content: tyro.conf.Positional[Path]
    """The picture to redraw, in PNG, JPEG, WebP, TIFF or another common format."""
    style: tyro.conf.Positional[Path]
    """The picture of the style, or the folder of a run of photo_style."""
    out: Path = Path("stylized.png")
    """The picture to write (.png)."""
    size: Annotated[int, *within(32, 2**15)] = 384
    """Longer side of the result in pixels; smaller pictures keep their size."""
    style_size: Annotated[int, *within(32, 2**15)] = 384
    """Longer side to which the picture of the style is scaled, in pixels: a smaller one has finer strokes."""
    steps: Count = 200
    """Number of steps of Adam; not for a run."""
    style_weight: NonNegativeFloat = 100.0
    """Weight of the style beside the content, whose weight is 1."""
    smoothness: NonNegativeFloat = 20.0
    """Weight of the penalty on differences of neighboring pixels; not for a run, where it was an option of training."""
    checkpoint: str = "last"
    """The checkpoint of a run to use: last, best, or a step."""


def main(arguments: Sequence[str]) -> None:
    options = parse(Options, "stylize", arguments)
    inputs = [options.content, options.style]
    check_output(options.out, (".png",), overwrite=options.overwrite, inputs=inputs)
    content = scaled(read_scaled(options.content, options.size))
    image = _by_run(options, content) if options.style.is_dir() else _by_descent(options, content)
    with writing(options.out) as part:
        save_image(unscale_images(np.asarray(image)), part)
    tell(f"{options.content} in the manner of {options.style}: {options.out}")


def _by_descent(options: Options, content: np.ndarray) -> jax.Array:
    style = scaled(read_scaled(options.style, options.style_size))

    weights = Weights(style=options.style_weight, smoothness=options.smoothness)
    with progress_bars() as progress:

        def say(step: int, losses: Losses) -> None:
            progress("drawing", step, options.steps, f"content {losses.content:.4f}, style {losses.style:.4f}")

        progress("drawing", 0, options.steps)
        return stylize_image(
            jnp.asarray(content), jnp.asarray(style), steps=options.steps, weights=weights, progress=say
        )[0]


def _by_run(options: Options, content: np.ndarray) -> np.ndarray:
    """Stylize the whole picture at once, since the network's norms are over all of it."""
    run = open_named(options.style, options)
    draw = needed_mapping(run, "stylize").apply
    state = restore_run(run, options.checkpoint)
    height, width = content.shape[:2]
    pads = [(0, -size % SIDES) for size in (height, width)]
    padded = np.pad(content, (*pads, (0, 0)), mode="symmetric")
    with doing("drawing"):
        return np.asarray(jax.jit(draw)(state, padded[None])[0, :height, :width])
