"""How far images agree with their captions, by an encoder of images and texts (`jaxgen.models.contrastive`)."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxgen.data.captions import caption_writer, first_captions
from jaxgen.data.dataset import Dataset, length, pick_examples
from jaxgen.errors import UserError
from jaxgen.metrics.retrieval import caption_ranks, retrieval
from jaxgen.opened_run import Run, open_run, restore_run
from jaxgen.training import checkpoint
from jaxgen.training.sampling import draw_samples
from jaxgen.training.state import TrainState

TEXT_AGREEMENT, RETRIEVAL = "text_agreement", "retrieval"
AMONG = 100
"""Captions that an image is offered."""
IMAGES_AT_ONCE = 250


class TextScorer(NamedTuple):
    """A trained encoder of images and texts."""

    images: Callable[[np.ndarray], np.ndarray]
    """Images [N, H, W, C] in [-1, 1] -> [N, E], of length 1."""
    captions: Callable[[Sequence[str]], np.ndarray]
    """Texts [M] -> [M, E], of length 1."""
    facts: dict[str, Any]
    """What it is: experiment, step, and the SHA-256 of its state."""


def open_text_scorer(run_dir: Path, image_shape: Sequence[int], option: str) -> TextScorer:
    """That of a run of emoji_clip, for images of a shape (H, W, C).

    Raises:
      UserError: another kind of run, or one of images of another shape; the sentence names the option.
    """
    run = open_run(run_dir)
    if "embed_captions" not in run.model.functions:
        raise UserError(f"{option} {run_dir} is a run of {run.experiment.name}: name one of emoji_clip.")
    own = run.record["assets"]["image_shape"]
    if list(own) != list(image_shape):
        sizes = ["x".join(map(str, shape)) for shape in (own, image_shape)]
        raise UserError(
            f"{option} {run_dir} reads images of {sizes[0]}, but these are of {sizes[1]}: train one for them."
        )
    return text_scorer(run, restore_run(run))


def text_scorer(run: Run, state: TrainState) -> TextScorer:
    """That of an opened run with its state."""
    writer = caption_writer(run.record["assets"])
    embed_images = jax.jit(run.model.functions["embed_images"])
    embed_captions = jax.jit(run.model.functions["embed_captions"])

    def images(values: np.ndarray) -> np.ndarray:
        return _in_blocks(lambda block: embed_images(state, block), np.asarray(values, np.float32))

    def captions(texts: Sequence[str]) -> np.ndarray:
        return _in_blocks(lambda block: embed_captions(state, block), writer.encode(texts, cut=True))

    facts = {"experiment": run.experiment.name, "step": int(state.step), "sha256": checkpoint.digest(state)}
    return TextScorer(images, captions, facts)


def _in_blocks(function: Callable[[np.ndarray], jax.Array], values: np.ndarray) -> np.ndarray:
    """By blocks of one size, so that one program is compiled for all."""
    whole = np.concatenate([values, np.repeat(values[-1:], -len(values) % IMAGES_AT_ONCE, axis=0)])
    starts = range(0, len(whole), IMAGES_AT_ONCE)
    blocks = [np.asarray(function(whole[start : start + IMAGES_AT_ONCE])) for start in starts]
    return np.concatenate(blocks)[: len(values)]


# ---------------------------------------------------------------- values


def agreement_values(
    images: np.ndarray, texts: Sequence[str], offered: Sequence[str], scorer: TextScorer, *, seed: int
) -> dict[str, float]:
    """Retrieval of the texts [N] of images [N, H, W, C] among those that are offered, all different, 100 at a time."""
    number = {text: i for i, text in enumerate(offered)}
    own = np.array([number[text] for text in texts])
    ranks = caption_ranks(scorer.images(images), scorer.captions(offered), own, among=AMONG, seed=seed)
    return retrieval(ranks)._asdict()


def retrieval_values(run: Run, state: TrainState, data: Dataset, *, seed: int) -> dict[str, float]:
    """Of an encoder itself: retrieval on the held-out pairs."""
    images, _, texts = _held_out(data, length(data.test))
    found = agreement_values(images, texts, first_captions(data), text_scorer(run, state), seed=seed)
    return {f"{RETRIEVAL}/{name}": value for name, value in found.items()}


def text_agreement_values(
    run: Run,
    state: TrainState,
    data: Dataset,
    scorer: TextScorer,
    *,
    num_samples: int,
    seed: int,
    sampling: Mapping[str, Any],
) -> dict[str, float]:
    """Retrieval of held-out captions by images that are drawn for them, one for each held-out image (or the first
    `num_samples`), beside that by the images themselves, and the share of it that the drawn ones reach."""
    real, captions, texts = _held_out(data, min(num_samples, length(data.test)))
    drawn = draw_samples(run.model, state, num=len(texts), seed=seed, condition=captions, **sampling)
    offered, compared = first_captions(data), {"real": real, "generated": drawn}
    values = {kind: agreement_values(images, texts, offered, scorer, seed=seed) for kind, images in compared.items()}
    named = {f"{TEXT_AGREEMENT}/{kind}_{name}": value for kind in values for name, value in values[kind].items()}
    if values["real"]["top1"]:
        named[f"{TEXT_AGREEMENT}/share_of_real"] = values["generated"]["top1"] / values["real"]["top1"]
    return named


def _held_out(data: Dataset, count: int) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Images, captions [N, T] and their texts: of so many held-out examples, spread over them."""
    rows = np.linspace(0, length(data.test) - 1, count).round().astype(int)
    batch = data.prepare(pick_examples(data.test, rows))
    captions = np.asarray(batch["caption"])
    writer = caption_writer(data.assets)
    return np.asarray(batch["image"]), captions, [writer.decode(caption) for caption in captions]
