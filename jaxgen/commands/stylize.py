"""`jaxgen stylize CONTENT STYLE`: a picture in the manner of another."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from jaxgen.commands._options import check_output, parse
from jaxgen.data.dataset import scaled, unscale_images
from jaxgen.data.image_folder import read_scaled
from jaxgen.errors import UserError
from jaxgen.style_transfer import Losses, Weights, stylise
from jaxgen.training.pictures import save_image


@dataclass(frozen=True)
class Options:
    """Draws one picture in the manner of another (Gatys et al. 2016), by the maps of EfficientNet-Lite0."""

    content: tyro.conf.Positional[Path]
    """The picture to be drawn, in any format that Pillow reads."""
    style: tyro.conf.Positional[Path]
    """The picture in whose manner."""
    out: Path = Path("stylized.png")
    """Where it goes (.png)."""
    size: int = 384
    """The longer side of what is drawn, in pixels; smaller pictures stay as they are."""
    style_size: int = 384
    """The longer side of the style: a smaller one has finer strokes."""
    steps: int = 200
    """Steps of Adam."""
    style_weight: float = 100.0
    """How much the manner counts beside what is drawn, which counts 1."""
    smoothness: float = 20.0
    """How much neighbouring pixels are to be alike."""


def main(arguments: Sequence[str]) -> None:
    options = parse(Options, "stylize", arguments)
    for name in ("size", "style_size"):
        if getattr(options, name) < 32:
            raise UserError(f"--{name.replace('_', '-')} must be at least 32, not {getattr(options, name)}.")
    if options.steps < 1 or min(options.style_weight, options.smoothness) < 0:
        raise UserError("--steps must be at least 1, --style-weight and --smoothness at least 0.")
    check_output(options.out, (".png",))
    pictures = (read_scaled(options.content, options.size), read_scaled(options.style, options.style_size))
    content, style = map(scaled, pictures)

    def say(step: int, losses: Losses) -> None:
        print(f"step {step}/{options.steps}  content {losses.content:.4f}  style {losses.style:.4f}", flush=True)

    weights = Weights(style=options.style_weight, smoothness=options.smoothness)
    image, _ = stylise(content, style, steps=options.steps, weights=weights, progress=say)
    save_image(unscale_images(np.asarray(image)), options.out)
    print(f"{options.content} in the manner of {options.style}: {options.out}")
