"""`jaxgen restore RUN IMAGE...`: upscale, denoise, inpaint or colorize images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from rich.table import Table

from jaxgen.commands._options import RunOptions, needed_mapping, open_named, parse
from jaxgen.commands._outputs import OutputOptions, check_output_folder, writing
from jaxgen.commands._tiles import in_tiles, tiles_of
from jaxgen.core import option_groups
from jaxgen.core.errors import UserError
from jaxgen.core.options import Seed, within
from jaxgen.core.terminal import console, tell
from jaxgen.core.types import present
from jaxgen.data.dataset import scaled, unscale_images
from jaxgen.data.picture_file import read_picture
from jaxgen.models.image_to_image.principle import restoration_scores
from jaxgen.runs.opened_run import restore_run
from jaxgen.samples.pictures import save_image

WITHOUT = "_without"
"""The end of the names of images restored without the network."""


@dataclass(frozen=True, kw_only=True)
class Options(OutputOptions, RunOptions):
    """Restore images as a run was trained to: upscale, denoise, deblur, fill in or colorize them.

    With --degrade the images are intact ones, which are degraded first as in training; their distances from the
    restored ones are then printed too, beside those of a restoration without the network.
    """

    run: tyro.conf.Positional[Path]
    """The folder of the run."""
    images: tyro.conf.Positional[tuple[Path, ...]]
    """The images, in PNG, JPEG, WebP, TIFF or another common format."""
    out: Path = Path("restored")
    """The folder to which images are written, as .png files of the same names."""
    mask: Path | None = None
    """Mask for a run that fills in: a picture of the same size, white where the image is to be drawn and black where it
    is known."""
    degrade: bool = False
    """Degrade the images first."""
    border: Annotated[int, *within(0, 2**15)] = 2
    """Number of pixels at each side that are left out of the scores of --degrade."""
    seed: Seed = 0
    """Seed of the noise and masks of --degrade."""
    checkpoint: str = "last"
    """The checkpoint to use: last, best, or a step."""


def main(arguments: Sequence[str]) -> None:
    options = parse(Options, "restore", arguments)
    if not options.images:
        raise UserError("Name one or more images to restore.")
    run = open_named(options.run, options)
    mapping = needed_mapping(run, "restore")
    *trained_size, channels = run.record["assets"]["image_shape"]
    degradation = option_groups.value(run.config, "degradation")
    factor: int = option_groups.value(run.config, "factor") if degradation == "super_resolution" else 1
    fills_in = degradation == "inpainting"
    if fills_in and options.mask is None and not options.degrade:
        raise UserError(f"{run.name} fills in what is missing: say with --mask what that is.")
    if options.mask is not None and (options.degrade or not fills_in):
        raise UserError("--mask goes with a run that fills in, and without --degrade: leave it out.")
    outputs = check_output_folder(
        options.images,
        options.out,
        overwrite=options.overwrite,
        inputs=[] if options.mask is None else [options.mask],
        also=(WITHOUT,) if options.degrade else (),
    )
    mask = None if options.mask is None else read_picture(options.mask, 1)
    total = 0
    for path in options.images:  # each is read before the work begins, and again when it is worked on: one at a time
        shape = read_picture(path, channels).shape
        total += tiles_of([side // factor for side in shape[:2]] if options.degrade else shape)
        if mask is not None and mask.shape[:2] != shape[:2]:
            raise UserError(f"--mask {options.mask} is not of the size of {path}.")
    state = restore_run(run, options.checkpoint)

    def network(given: jax.Array) -> jax.Array:
        return mapping.apply(state, given)

    scores, done = [], 0
    for path, output in zip(options.images, outputs, strict=True):
        image = scaled(read_picture(path, channels))
        if options.degrade:
            image, given = _degraded(present(mapping.degrade), factor, image, options.seed)
        else:
            known = np.ones((*image.shape[:2], 1), np.float32) if mask is None else (mask < 128).astype(np.float32)
            given = np.asarray(present(mapping.take)(jnp.asarray(image[None]), jnp.asarray(known[None])))[0]
        if [side * factor for side in given.shape[:2]] == trained_size:  # as in training: no tiles
            restored = np.asarray(network(jnp.asarray(given[None])))[0]
        else:
            restored = in_tiles(network, given, "restoring tiles", before=done, total=total)
        done += tiles_of(given.shape)
        with writing(output) as part:
            save_image(unscale_images(restored), part)
        if options.degrade:
            baseline = np.asarray(present(mapping.baseline)(jnp.asarray(given[None])))[0]
            with writing(output.with_stem(output.stem + WITHOUT)) as part:
                save_image(unscale_images(baseline), part)
            both = np.stack([baseline, restored])
            found = restoration_scores(jnp.asarray(both), jnp.asarray(np.stack([image, image])), options.border)
            scores.append((output.stem, *(float(values[i]) for i in range(2) for values in found.values())))
    if scores:
        _show(scores)
    tell(f"{len(outputs)} restored: {options.out}")


def _degraded(degrade: Callable, factor: int, image: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the image, cropped to a size that the degradation can shrink, and what is left of it."""
    height, width = (size - size % factor for size in image.shape[:2])
    image = image[:height, :width]
    return image, np.asarray(degrade(jax.random.key(seed), jnp.asarray(image[None])))[0]


def _show(scores: list[tuple]) -> None:
    heads = [f"{what}{how}" for how in (", without", "") for what in ("PSNR", "PSNR of luma", "SSIM")]
    table = Table("", *heads, box=None, pad_edge=False)
    rows = [*scores, ("mean", *np.mean([row[1:] for row in scores], axis=0))] if len(scores) > 1 else scores
    for name, *values in rows:
        table.add_row(name, *(f"{value:.4f}" if i % 3 == 2 else f"{value:.2f}" for i, value in enumerate(values)))
    console().print(table)
