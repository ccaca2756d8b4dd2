"""`jaxgen sample RUN`: draw samples of a run: images, texts, sounds."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from jaxgen.commands._audio_samples import sample_sounds
from jaxgen.commands._options import RunOptions, check_images_fit, check_label, check_samples, open_named, parse
from jaxgen.commands._outputs import OutputOptions, check_output, writing
from jaxgen.commands._progress import progress_bars
from jaxgen.commands._prompt_samples import PromptOptions, sample_prompts
from jaxgen.commands._sampling_options import SamplingOptions, sampling_options
from jaxgen.commands._text_samples import TextOptions, sample_texts
from jaxgen.core.errors import UserError
from jaxgen.core.model import draws_captions
from jaxgen.core.options import CountFromZero, Seed, within
from jaxgen.core.terminal import tell
from jaxgen.core.types import SampleOptions
from jaxgen.runs.opened_run import Run, restore_run
from jaxgen.samples.numbered import draw_samples, labels_of_samples
from jaxgen.samples.pictures import sample_sheet
from jaxgen.training.config import option


@dataclass(frozen=True, kw_only=True)
class Options(OutputOptions, PromptOptions, TextOptions, SamplingOptions, RunOptions):
    """Draw samples from a run. Only the run's folder is needed."""

    run: tyro.conf.Positional[Path]
    """The folder of the run."""
    num: Annotated[int, *within(1, 10**7)] | None = None
    """Number of samples. None: 64 images, or 8 for each prompt; one text for each prompt; a few spoken words."""
    label: CountFromZero | None = None
    """Number of the class of images, or of the spoken word. None: every class in turn, with a row of the sheet for
    each."""
    seed: Seed = 0
    """Seed of the samples; a larger --num adds samples to those of the same seed."""
    out: Path | None = None
    """The file to write. Images: a sheet (.png), or the raw arrays in [-1, 1] (.npz, entry `samples`); None: sheet.png.
    Texts: a file (.txt); None: the terminal, token by token. Sounds: a file of all sounds (.wav), with a spectrogram
    (.png) beside it; None: sound.wav."""
    checkpoint: str = "last"
    """The checkpoint to use: last, best, or a step."""


def main(arguments: Sequence[str]) -> None:
    options = parse(Options, "sample", arguments)
    run = open_named(options.run, options)
    check_samples(run)
    how = sampling_options(run, options)
    if not draws_captions(run.model):
        _refuse(options, run, *PromptOptions.__dataclass_fields__)
    common = {name: getattr(options, name) for name in ("num", "seed", "out", "overwrite", "checkpoint")}
    if run.record["kind"] == "text":
        _refuse(options, run, "label")
        sample_texts(run, options, **common)
    elif run.record["kind"] == "audio":
        _refuse(options, run, "num_tokens", "stop")
        sample_sounds(run, options, label=options.label, **common)
    elif draws_captions(run.model):
        _refuse(options, run, "label", "num_tokens", "stop")
        sample_prompts(run, options, options, how, **common)
    else:
        _refuse(options, run, *TextOptions.__dataclass_fields__)
        sample_images(run, options, how)


def sample_images(run: Run, options: Options, how: SampleOptions) -> None:
    """Draw images and write a sheet or the arrays; `how` are keywords of the model's `sample`."""
    out, num = options.out or Path("sheet.png"), options.num or 64
    check_output(out, (".png", ".npz"), overwrite=options.overwrite)
    check_images_fit(run, num, f"--num {num}")
    if options.label is not None:
        check_label(run, options.label)
    labels = labels_of_samples(run.model, num, options.label)
    condition = None if options.label is None else labels
    state = restore_run(run, options.checkpoint)
    with progress_bars() as progress:
        how = {**how, "condition": condition, "progress": progress}
        samples = draw_samples(run.model, state, num=num, seed=options.seed, **how)
    if out.suffix.lower() == ".npz":
        with writing(out) as part, part.open("wb") as file:
            np.savez_compressed(file, samples=samples)
    else:
        sheet = sample_sheet(samples, labels)
        with writing(out) as part:
            sheet.save(part)
    of_class = "" if condition is None else f", class {options.label}"
    tell(f"{num} samples of {run.name}{of_class} at step {int(state.step)}: {out}")


def _refuse(options: Options, run: Run, *names: str) -> None:
    """Refuse options that are given but mean nothing for this run."""
    fields: dict[str, Any] = Options.__dataclass_fields__
    for name in names:
        if getattr(options, name) != fields[name].default:
            kind = run.record["kind"] + ("s without captions" if run.record["kind"] == "image" else "")
            kind = "images by captions" if draws_captions(run.model) else kind
            raise UserError(f"{run.name} is a model of {kind}, for which {option(name)} means nothing.")
