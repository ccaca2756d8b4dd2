"""Images of prompts for `jaxgen sample`: the best of several candidates, with the nearest training images."""

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import jax
import numpy as np

from jaxgen.commands._outputs import check_output, writing
from jaxgen.commands._progress import counted, progress_bars
from jaxgen.commands._text_samples import TextOptions, choice_of
from jaxgen.core.errors import UserError
from jaxgen.core.options import within
from jaxgen.core.terminal import tell
from jaxgen.core.types import SampleOptions, present
from jaxgen.data.captions import caption_writer
from jaxgen.data.dataset import scaled, unscale_images
from jaxgen.evaluation.request import CANDIDATES
from jaxgen.evaluation.text_agreement import open_text_scorer, rank_by_similarity
from jaxgen.metrics.distances import nearest_distances
from jaxgen.metrics.extractors import extractor_for, load_extractor
from jaxgen.metrics.image_features import extract_features
from jaxgen.metrics.image_source import ImageSource, of_split
from jaxgen.runs.opened_run import Run, restore_run
from jaxgen.runs.run_data import load_run_data
from jaxgen.samples.pictures import titled_rows

IMAGES_PER_PROMPT = 8
NEAREST = "nearest images that it was trained on"


@dataclass(frozen=True, kw_only=True)
class RankingOptions:
    """Options of choosing images by their captions."""

    rank_with: Path | None = None
    """Run of emoji_clip that chooses the best of --candidates images for each caption. None: no choice."""
    candidates: Annotated[int, *within(1, 10**6)] | None = None
    """Number of images drawn for each caption, among which --rank-with chooses. None: 16."""


def candidates_of(options: RankingOptions) -> int:
    """Return the number of candidates.

    Raises:
      UserError: candidates are given, but no encoder to choose among them.
    """
    if options.candidates is not None and options.rank_with is None:
        raise UserError("--candidates needs --rank-with RUN, a run of emoji_clip that chooses among them: add it.")
    return CANDIDATES if options.candidates is None else options.candidates


@dataclass(frozen=True, kw_only=True)
class PromptOptions(RankingOptions):
    """Options of images by prompts."""

    nearest: bool = False
    """Show the nearest training image below each image of a prompt."""


def sample_prompts(
    run: Run,
    options: TextOptions,
    ranking: PromptOptions,
    how: SampleOptions,
    *,
    num: int | None,
    seed: int,
    out: Path | None,
    overwrite: bool,
    checkpoint: str,
) -> None:
    """Draw images of each prompt (of the run's own prompts, if none are given) and write a sheet or the arrays.

    Raises:
      UserError: numbers out of range, a prompt that is too long, or more images than candidates.
    """
    out, num = out or Path("sheet.png"), num or IMAGES_PER_PROMPT
    check_output(out, (".png", ".npz"), overwrite=overwrite)
    how = {**how, **_choice(run, options)}
    candidates = candidates_of(ranking)
    if ranking.rank_with is not None and candidates < num:
        raise UserError(f"--num {num} cannot be more than --candidates {candidates}: raise the latter.")
    assets = run.record["assets"]
    prompts = list(options.prompt) or assets["prompts"]
    captions = caption_writer(assets).encode(prompts, cut=not options.prompt)
    scorer = None
    if ranking.rank_with is not None:
        scorer = open_text_scorer(ranking.rank_with, assets["image_shape"], "--rank-with")
    state = restore_run(run, checkpoint)
    drawn = num if scorer is None else candidates
    draw = jax.jit(lambda key, captions: present(run.model.sample)(state, key, drawn, condition=captions, **how))
    key, rows = jax.random.key(seed), []
    for i, caption in enumerate(counted(captions, "drawing images of prompts", len(captions))):
        rows.append(np.asarray(draw(jax.random.fold_in(key, i), np.tile(caption, (drawn, 1)))))
    if scorer is not None:
        rows = list(rank_by_similarity(np.stack(rows), prompts, scorer)[:, :num])
    if out.suffix.lower() == ".npz":
        with writing(out) as part, part.open("wb") as file:
            np.savez_compressed(file, samples=np.concatenate(rows), prompts=np.repeat(prompts, num))
    else:
        titles = prompts
        if ranking.nearest:
            below = np.split(nearest_training_images(run, np.concatenate(rows)), len(rows))
            rows = [row for pair in zip(rows, below, strict=True) for row in pair]
            titles = [title for prompt in prompts for title in (prompt, NEAREST)]
        sheet = titled_rows(rows, titles)
        with writing(out) as part:
            sheet.save(part)
    best = "" if scorer is None else f", the best of {drawn} each"
    tell(f"{num} images of each of {len(prompts)} prompts{best}, at step {int(state.step)}: {out}")


def nearest_training_images(run: Run, images: np.ndarray) -> np.ndarray:
    """Return the training images nearest to images [N, H, W, C] in [-1, 1], in the features of an extractor."""
    data = load_run_data(run)
    training = of_split(data, data.train, "training images")
    generated = _source(images)
    extractor = load_extractor(extractor_for(training.shape))
    with progress_bars() as progress:
        found, known = (
            extract_features(source, extractor, keep_features=True, progress=progress).kept
            for source in (generated, training)
        )
    _, indices = nearest_distances(found, known, 1)
    return np.stack([scaled(training.read(i, i + 1)[0]) for i in indices[:, 0]])


def _choice(run: Run, options: TextOptions) -> SampleOptions:
    """Return the keyword `choice` for a model that draws tokens, and nothing for others.

    Raises:
      UserError: such options are given for a model that draws no tokens.
    """
    fields = TextOptions.__dataclass_fields__
    given = [n for n in ("temperature", "top_k", "top_p") if getattr(options, n) != fields[n].default]
    if "choice" in inspect.signature(present(run.model.sample)).parameters:
        return {"choice": choice_of(options)}
    if given:
        raise UserError(f"{run.name} draws no tokens, so --{given[0].replace('_', '-')} means nothing: leave it out.")
    return {}


def _source(images: np.ndarray) -> ImageSource:
    values = unscale_images(images)
    return ImageSource("samples", len(values), values.shape[1:], lambda start, stop: values[start:stop])
