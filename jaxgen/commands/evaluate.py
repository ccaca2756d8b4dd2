"""`jaxgen evaluate RUN`, or `--real A --generated B`: score the samples of a run, or images from anywhere."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from rich.table import Table

from jaxgen.commands._options import RunDataOptions, open_named, parse
from jaxgen.commands._outputs import OutputOptions, check_files, check_output, writing
from jaxgen.commands._progress import progress_bars
from jaxgen.commands._prompt_samples import RankingOptions, candidates_of
from jaxgen.commands._sampling_options import SamplingOptions, given_sampling_options, sampling_options
from jaxgen.core import files
from jaxgen.core.command_line import say
from jaxgen.core.errors import UserError
from jaxgen.core.options import ImageSize, Seed, within
from jaxgen.core.terminal import console, tell
from jaxgen.core.types import Json, present
from jaxgen.evaluation.images import evaluate_images
from jaxgen.evaluation.records import read_evaluations, remember
from jaxgen.evaluation.registry import evaluate_run
from jaxgen.metrics.image_scores import METRICS, metric_names
from jaxgen.metrics.image_source import first, of_path
from jaxgen.training import run_folder

if TYPE_CHECKING:
    from PIL import Image

_IMAGE_METRICS = tyro.conf.arg(help_behavior_hint=f"(default: None; metrics of images: {', '.join(METRICS)})")


@dataclass(frozen=True, kw_only=True)
class Options(OutputOptions, RankingOptions, SamplingOptions, RunDataOptions):
    """Score the samples of a run, or images from anywhere, against real images, and print a table.

    For a run, evaluation.json in its folder also gets each value with how it was computed: numbers of images, split,
    extractor with the hash of its weights, resizing, seed, step, versions of the libraries. The metric memorisation
    also draws nearest.png there.
    """

    run: tyro.conf.Positional[Path | None] = None
    """The folder of the run."""
    metrics: Annotated[str | None, _IMAGE_METRICS] = None
    """Names of metrics with commas between them: metrics of images; for runs also held_out, discriminator and
    log_likelihood; for text text, diversity and bars; for images of captions text_agreement; for emoji_clip retrieval.
    None: all that apply except log_likelihood, which takes long, and fid of few images."""
    num_samples: Annotated[int, *within(2, 10**9)] | None = None
    """Number of samples to draw, and the largest number of real images to use. None: 10,000 for a run, else all."""
    importance_samples: Annotated[int, *within(1, 10**6)] | None = None
    """Number of samples per held-out image in the estimate of log_likelihood; for a diffusion model, number of
    directions along which the trace is estimated, where 1 is enough. None: 200."""
    checkpoint: str = "last"
    """The checkpoint to use: last, best, or a step."""
    split: str | None = None
    """Split of the real images of a run or an embedded set: test or train. None: held-out images if there are any."""
    seed: Seed = 0
    """Seed of the samples and of other random choices."""
    extractor: str | None = None
    """Network whose features are compared: mnist, efficientnet_lite0 or inception. None: by the shape of the images."""
    weights: Path | None = None
    """The file of weights for --extractor inception."""
    text_scorer: Path | None = None
    """Run of emoji_clip for text_agreement: it picks an image's caption out of 100, and its accuracy on held-out images
    is shown beside that on generated ones. None: text_agreement is left out."""
    real: Path | None = None
    """Real images to compare without a run: a folder, a .npz file, or an embedded set such as mnist or emoji."""
    generated: Path | None = None
    """Generated images to compare without a run: a folder or a .npz file."""
    image_size: ImageSize | None = None
    """Side of the squares to which pictures of folders are cropped and scaled. None: all must have the same size."""
    out: Path | None = None
    """The .json file to which the values of a comparison without a run are also written. None: no file."""


def main(arguments: Sequence[str]) -> None:
    options = parse(Options, "evaluate", arguments)
    _check(options)
    record = _of_run(options) if options.run is not None else _of_images(options)
    destination = options.out if options.run is None else options.run / run_folder.EVALUATION
    try:
        show(record)
    finally:  # even if the reader of the table has gone
        if destination is not None:
            _save(record, options, destination)


def _check(options: Options) -> None:
    """Refuse options that do not go together, and outputs that cannot be written.

    Raises:
      UserError: such options or outputs.
    """
    outside = {options.real, options.generated}
    if options.run is None and None in outside:
        raise UserError("Name the folder of a run, or give both --real and --generated.")
    if options.run is None and options.importance_samples is not None:
        raise UserError("--importance-samples goes with a run, whose model has the likelihood.")
    if options.run is None and (options.text_scorer is not None or options.rank_with is not None):
        raise UserError("--text-scorer and --rank-with go with a run of images by captions: leave them out.")
    if options.run is None and given_sampling_options(options):
        raise UserError("--sampler, --sampling-steps and --guidance go with a run: leave them out.")
    if options.run is None and (options.data, options.target) != (None, None):
        raise UserError("--data and --target go with a run: leave them out.")
    if options.run is not None and (outside | {options.image_size, options.out}) != {None}:
        raise UserError("--real, --generated, --image-size and --out go without a run: leave out one or the other.")
    if options.out is not None:
        check_output(options.out, (".json",), overwrite=options.overwrite)


def _of_run(options: Options) -> Json:
    folder = present(options.run)
    run = open_named(folder, options)
    read_evaluations(folder)  # a damaged file is refused before any work
    nearest = folder / run_folder.NEAREST
    try:
        check_files([nearest, folder / run_folder.EVALUATION], folder, overwrite=True)
    except UserError as error:
        say(f"The values will be shown, but not kept in {folder}: {error}")
    counts = {"num_samples": options.num_samples, "importance_samples": options.importance_samples}
    with progress_bars() as progress:
        return evaluate_run(
            run,
            checkpoint=options.checkpoint,
            split=options.split,
            text_scorer=options.text_scorer,
            rank_with=options.rank_with,
            candidates=candidates_of(options),
            sampling=sampling_options(run, options),
            progress=progress,
            show_pairs=lambda picture: _save_pairs(picture, nearest),
            **{name: count for name, count in counts.items() if count is not None},
            **_how(options),
        )


def _of_images(options: Options) -> Json:
    real, generated = (
        first(of_path(present(path), image_size=options.image_size, split=options.split), options.num_samples)
        for path in (options.real, options.generated)
    )
    with progress_bars() as progress:
        return evaluate_images(real, generated, progress=progress, **_how(options))


def _how(options: Options) -> Json:
    metrics = metric_names(options.metrics) or None
    return {"metrics": metrics, "seed": options.seed, "extractor": options.extractor, "weights": options.weights}


def _save_pairs(picture: "Image.Image", path: Path) -> None:
    """Write the picture of nearest training images; a failure is only reported, so that the values are not lost."""
    try:
        with writing(path) as part:
            picture.save(part)
    except UserError as error:
        say(str(error))


def _save(record: Json, options: Options, path: Path) -> None:
    """Write the record, whose values have been shown.

    Raises:
      UserError: the file cannot be written.
    """
    if options.run is not None:
        try:
            remember(options.run, record)
        except OSError as error:
            raise UserError(f"The values cannot be kept: {files.explain(error)}.") from error
    else:
        with writing(path) as part:
            part.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    tell(f"written to {path}")


def show(record: Json) -> None:
    """Print the values of a record as a table, under a line that says what they were computed from."""
    table = Table("metric", "value", box=None, pad_edge=False)
    for name, value in record["values"].items():
        table.add_row(name, f"{value:.5g}")
    facts = [f"step {record['step']} ({record['checkpoint']} checkpoint)"] if "step" in record else []
    if "real" in record:
        facts += [f"{record[side]['count']} {record[side]['source']}" for side in ("generated", "real")]
        facts.append(f"features of {record['extractor']['name']}")
    facts.append(f"seed {record['seed']}")
    terminal = console()
    terminal.print(", ".join(facts))
    terminal.print(table)
    for name, why in record.get("left_out", {}).items():
        tell(f"left out: {name} ({why})")
