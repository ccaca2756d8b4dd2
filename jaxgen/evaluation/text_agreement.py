"""Agreement of images with their captions, by an encoder of images and texts (`jaxgen.models.contrastive`)."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from jaxgen.core.errors import UserError
from jaxgen.core.model import draws_captions
from jaxgen.core.state import TrainState
from jaxgen.core.types import Json, SampleOptions, present
from jaxgen.data.captions import caption_writer, first_captions
from jaxgen.data.dataset import Dataset, length, pick_examples, prepared
from jaxgen.evaluation.request import Request, RunMetric, Scores
from jaxgen.metrics.extractors import say_shape
from jaxgen.metrics.retrieval import caption_ranks, retrieval_scores
from jaxgen.runs.opened_run import Run, open_run, restore_run
from jaxgen.samples.numbered import draw_samples
from jaxgen.training import checkpoint

TEXT_AGREEMENT, RETRIEVAL = "text_agreement", "retrieval"
AMONG = 100
"""Number of captions among which an image's own caption is looked for."""
IMAGES_AT_ONCE = 250


class TextScorer(NamedTuple):
    """A trained encoder of images and texts."""

    images: Callable[[np.ndarray], np.ndarray]
    """images [N, H, W, C] in [-1, 1] -> vectors [N, E], of length 1."""
    captions: Callable[[Sequence[str]], np.ndarray]
    """texts [M] -> vectors [M, E], of length 1."""
    facts: Json
    """The encoder's experiment, its step, and the SHA-256 of its state."""


def open_text_scorer(run_dir: Path, image_shape: Sequence[int], option: str) -> TextScorer:
    """Open the text scorer of a run of emoji_clip, for images of the shape (H, W, C).

    Raises:
      UserError: another kind of run, or a run of images of another shape; the message names the option.
    """
    run = open_run(run_dir)
    if run.model.embeddings is None:
        raise UserError(f"{option} {run_dir} is a run of {run.name}: name one of emoji_clip.")
    own = run.record["assets"]["image_shape"]
    if list(own) != list(image_shape):
        raise UserError(
            f"{option} {run_dir} reads images of {say_shape(own)}, but these are of {say_shape(image_shape)}: "
            "train one for them."
        )
    return text_scorer(run, restore_run(run))


def text_scorer(run: Run, state: TrainState) -> TextScorer:
    """Return the text scorer of an opened run with its state."""
    writer = caption_writer(run.record["assets"])
    embeddings = present(run.model.embeddings)
    embed_images = jax.jit(embeddings.images)
    embed_captions = jax.jit(embeddings.captions)

    def images(values: np.ndarray) -> np.ndarray:
        return _in_blocks(lambda block: embed_images(state, block), np.asarray(values, np.float32))

    def captions(texts: Sequence[str]) -> np.ndarray:
        return _in_blocks(lambda block: embed_captions(state, block), writer.encode(texts, cut=True))

    facts = {"experiment": run.name, "step": int(state.step), "sha256": checkpoint.digest(state)}
    return TextScorer(images, captions, facts)


def _in_blocks(function: Callable[[np.ndarray], jax.Array], values: np.ndarray) -> np.ndarray:
    """Apply a function to blocks of one size, so that one program is compiled for all."""
    whole = np.concatenate([values, np.repeat(values[-1:], -len(values) % IMAGES_AT_ONCE, axis=0)])
    starts = range(0, len(whole), IMAGES_AT_ONCE)
    blocks = [np.asarray(function(whole[start : start + IMAGES_AT_ONCE])) for start in starts]
    return np.concatenate(blocks)[: len(values)]


def rank_by_similarity(images: np.ndarray, texts: Sequence[str], scorer: TextScorer) -> np.ndarray:
    """Return the images [N, K, H, W, C] of texts [N], those of each text ordered by agreement with it, best first."""
    vectors = scorer.images(images.reshape(-1, *images.shape[2:])).reshape(*images.shape[:2], -1)
    likeness = np.einsum("nke,ne->nk", vectors, scorer.captions(texts))
    order = np.argsort(-likeness, axis=1, kind="stable")
    return np.take_along_axis(images, order[..., None, None, None], axis=1)


# ---------------------------------------------------------------- values


class Judges(NamedTuple):
    """The scorers that judge and choose images drawn for captions."""

    scorer: TextScorer
    """The encoder that judges the images."""
    chooser: TextScorer | None
    """Another encoder, which chooses one of the candidates for each caption; None: there is one candidate only."""
    candidates: int

    def facts(self) -> Json:
        """Return the entries of a record that say who judged and chose."""
        if self.chooser is None:
            return {"text_scorer": self.scorer.facts}
        return {"text_scorer": self.scorer.facts, "ranked_with": self.chooser.facts, "candidates": self.candidates}


def open_judges(
    asked: bool, text_scorer: Path | None, image_shape: Sequence[int], *, rank_with: Path | None, candidates: int
) -> Judges | None:
    """Open the runs of emoji_clip that judge and choose; None if text agreement is not `asked` for.

    Raises:
      UserError: an option that is missing or unused, fewer than 2 candidates, one encoder for both purposes, or a run
        that `open_text_scorer` refuses.
    """
    if text_scorer is None:
        if asked:
            raise UserError("text_agreement needs --text-scorer RUN, a run of emoji_clip.")
        if rank_with is not None:
            raise UserError("--rank-with goes with --text-scorer here: it chooses the images that are judged.")
        return None
    if not asked:
        raise UserError("--text-scorer goes with the metric text_agreement of models of captions: leave it out.")
    scorer = open_text_scorer(text_scorer, image_shape, "--text-scorer")
    if rank_with is None:
        return Judges(scorer, None, 1)
    if candidates < 2:
        raise UserError(f"--candidates must be at least 2 to choose among, not {candidates}.")
    chooser = open_text_scorer(rank_with, image_shape, "--rank-with")
    if chooser.facts["sha256"] == scorer.facts["sha256"]:
        raise UserError("--rank-with and --text-scorer must be different encoders: name another run.")
    return Judges(scorer, chooser, candidates)


def agreement_values(
    images: np.ndarray, texts: Sequence[str], offered: Sequence[str], scorer: TextScorer, *, seed: int
) -> dict[str, float]:
    """Score the retrieval of the texts [N] of images [N, H, W, C] among `offered`, all different, 100 at a time."""
    number = {text: i for i, text in enumerate(offered)}
    own = np.array([number[text] for text in texts])
    ranks = caption_ranks(scorer.images(images), scorer.captions(offered), own, among=AMONG, seed=seed)
    return retrieval_scores(ranks)._asdict()


def retrieval_values(run: Run, state: TrainState, data: Dataset, *, seed: int) -> dict[str, float]:
    """Score an encoder itself by retrieval on the held-out pairs."""
    images, _, texts = _held_out(data, length(present(data.test)))
    found = agreement_values(images, texts, first_captions(data), text_scorer(run, state), seed=seed)
    return {f"{RETRIEVAL}/{name}": value for name, value in found.items()}


def text_agreement_values(
    run: Run,
    state: TrainState,
    data: Dataset,
    judges: Judges,
    *,
    num_samples: int,
    seed: int,
    sampling: SampleOptions,
) -> dict[str, float]:
    """Score the retrieval of held-out captions by images drawn for them, relative to retrieval by the real images.

    One image is drawn for each held-out image (or for `num_samples` of them, evenly spread). The values are those of
    real images, those of generated ones, and the share of the former that the latter reach. With a chooser there are
    also those of the best of each caption's candidates; without ranking, the first candidate counts.
    """
    real, captions, texts = _held_out(data, min(num_samples, length(present(data.test))))
    condition = np.repeat(captions, judges.candidates, axis=0)
    drawn = draw_samples(run.model, state, num=len(condition), seed=seed, condition=condition, **sampling)
    drawn = drawn.reshape(len(texts), judges.candidates, *drawn.shape[1:])
    compared = {"real": real, "generated": drawn[:, 0]}
    if judges.chooser is not None:
        compared["ranked"] = rank_by_similarity(drawn, texts, judges.chooser)[:, 0]
    offered = first_captions(data)
    values = {
        kind: agreement_values(images, texts, offered, judges.scorer, seed=seed) for kind, images in compared.items()
    }
    named = {f"{TEXT_AGREEMENT}/{kind}_{name}": value for kind in values for name, value in values[kind].items()}
    if values["real"]["top1"]:
        shares = {kind: values[kind]["top1"] / values["real"]["top1"] for kind in values if kind != "real"}
        named |= {f"{TEXT_AGREEMENT}/{kind}_share_of_real": share for kind, share in shares.items()}
    return named


def _held_out(data: Dataset, count: int) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return images, captions [N, T] and their texts of `count` held-out examples, evenly spread."""
    rows = np.linspace(0, length(present(data.test)) - 1, count).round().astype(int)
    batch = prepared(data, pick_examples(present(data.test), rows))
    captions = np.asarray(batch["caption"])
    writer = caption_writer(data.assets)
    return np.asarray(batch["image"]), captions, [writer.decode(caption) for caption in captions]


# ---------------------------------------------------------------- as metrics of runs


def _retrieval_names(run: Run, data: Dataset, extractor: str) -> list[str]:
    return [RETRIEVAL] if run.model.embeddings is not None and data.test is not None else []


def _retrieval(request: Request, names: Sequence[str], ready: None) -> Scores:
    return Scores(retrieval_values(request.run, request.state, request.data, seed=request.seed))


def _agreement_names(run: Run, data: Dataset, extractor: str) -> list[str]:
    return [TEXT_AGREEMENT] if draws_captions(run.model) and data.test is not None else []


def _judges(request: Request, names: Sequence[str]) -> Judges | None:
    shape = request.run.record["assets"].get("image_shape")
    ranked = {"rank_with": request.rank_with, "candidates": request.candidates}
    return open_judges(bool(names), request.text_scorer, shape, **ranked)


def _agreement(request: Request, names: Sequence[str], judges: Judges) -> Scores:
    run, data, num = request.run, request.data, request.num_samples
    asked = {"num_samples": num, "seed": request.seed, "sampling": request.sampling}
    values = text_agreement_values(run, request.state, data, judges, **asked)
    return Scores(values, {**judges.facts(), "text_images": min(num, length(present(data.test)))})


RETRIEVAL_OF_CAPTIONS = RunMetric(_retrieval_names, _retrieval)
AGREEMENT = RunMetric(
    _agreement_names, _agreement, _judges, asked_by_default=lambda request: request.text_scorer is not None
)
