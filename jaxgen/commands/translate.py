"""`jaxgen translate RUN IMAGE...`: images in the other style."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from jaxgen.commands._options import RunDataOptions, check_output_folder, function_of, in_batches, open_named, parse
from jaxgen.data.dataset import length, read_examples, scaled, unscale_images
from jaxgen.data.picture_file import read_image
from jaxgen.errors import UserError
from jaxgen.opened_run import Run, restore_run
from jaxgen.run_data import load_run_data
from jaxgen.training.pictures import save_image


@dataclass(frozen=True)
class Options(RunDataOptions):
    """Translates images as a run was trained to, at the size of its images (the middle is cut out).

    With --held-out the run's held-out examples: OUT/translated, OUT/source and OUT/target then hold a file of each,
    which `jaxgen evaluate --real OUT/target --generated OUT/translated` compares.
    """

    run: tyro.conf.Positional[Path]
    """The folder of the run."""
    images: tyro.conf.Positional[tuple[Path, ...]] = ()
    """The files, in any format that Pillow reads."""
    out: Path = Path("translated")
    """The folder that they are written to, as .png files of the same names."""
    back: bool = False
    """From target to source, where the run has learned both."""
    held_out: bool = False
    """Translate the held-out examples of the run's data."""
    checkpoint: str = "last"
    """The checkpoint to use: last, best, or a step."""


def main(arguments: Sequence[str]) -> None:
    options = parse(Options, "translate", arguments)
    if bool(options.images) == options.held_out:
        raise UserError("Name one or more images to translate, or give --held-out.")
    run = open_named(options.run, options)
    translate = function_of(run, "translate_back" if options.back else "translate")
    names = check_output_folder(options.images, options.out)
    size, _, channels = run.record["assets"]["image_shape"]
    if options.held_out:
        sides = _held_out(run, options.back)
        names = [f"{i:05d}" for i in range(len(sides["source"]))]
        images = sides["source"]
    else:
        images = np.stack([read_image(path, size, channels) for path in options.images])
    state = restore_run(run, options.checkpoint)
    translated = unscale_images(in_batches(lambda x: translate(state, x), scaled(images), batch_size=32))
    folders = {options.out: translated}
    if options.held_out:
        folders = {options.out / name: values for name, values in (*sides.items(), ("translated", translated))}
    for folder, values in folders.items():
        folder.mkdir(parents=True, exist_ok=True)
        for name, image in zip(names, values, strict=True):
            save_image(image, folder / f"{name}.png")
    print(f"{len(names)} translated: {options.out}")


def _held_out(run: Run, back: bool) -> dict[str, np.ndarray]:
    """uint8 [N, H, W, C] of what is translated and of what it should become."""
    data = load_run_data(run)
    if data.test is None:
        raise UserError(f"{data.name} has no held-out examples: name images.")
    examples = read_examples(data.test, 0, length(data.test))
    source, target = ("image", "source") if back else ("source", "image")
    return {"source": examples[source], "target": examples[target]}
