"""`jaxgen translate RUN IMAGE...`: translate images into the other domain."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
import tyro

from jaxgen.commands._options import RunDataOptions, in_batches, needed, needed_mapping, open_named, parse
from jaxgen.commands._outputs import OutputOptions, check_files, check_output_folder, writing
from jaxgen.core.errors import UserError
from jaxgen.core.terminal import tell
from jaxgen.data.dataset import Arrays, Split, length, read_examples, scaled, unscale_images
from jaxgen.data.picture_file import read_image
from jaxgen.runs.opened_run import Run, restore_run
from jaxgen.runs.run_data import load_run_data
from jaxgen.samples.pictures import save_image

BATCH_SIZE = 32
TRANSLATED, SOURCE, TARGET = "translated", "source", "target"
SIDES = (SOURCE, TARGET)


@dataclass(frozen=True, kw_only=True)
class Options(OutputOptions, RunDataOptions):
    """Translate images as a run was trained to, at the size of its images (their middle is cropped).

    With --held-out the run's held-out examples are translated: OUT/translated, OUT/source and OUT/target then hold a
    file of each, which `jaxgen evaluate --real OUT/target --generated OUT/translated` compares.
    """

    run: tyro.conf.Positional[Path]
    """The folder of the run."""
    images: tyro.conf.Positional[tuple[Path, ...]] = ()
    """The images, in PNG, JPEG, WebP, TIFF or another common format."""
    out: Path = Path("translated")
    """The folder to which images are written, as .png files of the same names."""
    back: bool = False
    """Translate from target to source, for runs that have learned both directions."""
    held_out: bool = False
    """Translate the held-out examples of the run's data."""
    checkpoint: str = "last"
    """The checkpoint to use: last, best, or a step."""


def main(arguments: Sequence[str]) -> None:
    options = parse(Options, "translate", arguments)
    if bool(options.images) == options.held_out:
        raise UserError("Name one or more images to translate, or give --held-out.")
    run = open_named(options.run, options)
    mapping = needed_mapping(run, "translate")
    translate = needed(run, mapping.back, "way back") if options.back else mapping.apply
    size, _, channels = run.record["assets"]["image_shape"]
    outputs = check_output_folder(options.images, options.out, overwrite=options.overwrite)
    examples = None
    if options.held_out:
        examples = _held_out(run)
        names = [f"{i:05d}.png" for i in range(length(examples))]
        outputs = [options.out / TRANSLATED / name for name in names]
        written = [options.out / folder / name for folder in (TRANSLATED, *SIDES) for name in names]
        check_files(written, options.out, overwrite=options.overwrite)
    for path in options.images:  # each is read before the work begins, and again when it is worked on
        read_image(path, size, channels)
    state, total = restore_run(run, options.checkpoint), len(outputs)

    def network(images: jax.Array) -> jax.Array:
        return translate(state, images)

    for start in range(0, total, BATCH_SIZE):
        chosen = outputs[start : start + BATCH_SIZE]
        if examples is None:
            images = np.stack([read_image(path, size, channels) for path in options.images[start : start + BATCH_SIZE]])
        else:
            batch = read_examples(examples, start, start + len(chosen))
            sides = dict(zip(SIDES, _sides(batch, options.back), strict=True))
            images = sides[SOURCE]
            for name, values in sides.items():
                _write(values, [options.out / name / output.name for output in chosen])
        translated = in_batches(network, scaled(images), what="translating", before=start, total=total)
        _write(unscale_images(translated), chosen)
    tell(f"{total} translated: {options.out}")


def _write(images: np.ndarray, paths: Sequence[Path]) -> None:
    for image, path in zip(images, paths, strict=True):
        with writing(path) as part:
            save_image(image, part)


def _held_out(run: Run) -> Split:
    data = load_run_data(run)
    if data.test is None:
        raise UserError(f"{data.name} has no held-out examples: name images.")
    return data.test


def _sides(examples: Arrays, back: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the sources and the targets of a translation, uint8 [N, H, W, C] each."""
    source, target = ("image", "source") if back else ("source", "image")
    return examples[source], examples[target]
