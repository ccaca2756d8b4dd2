"""Evaluates runs and images: the values, and the record of how they came about."""

import functools
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from jaxgen.core.errors import UserError
from jaxgen.core.json_values import from_json, read_json
from jaxgen.core.model import draws_captions, draws_classes
from jaxgen.core.state import TrainState
from jaxgen.data.dataset import Dataset, Split, length, read_examples
from jaxgen.evaluation import text_agreement, texts
from jaxgen.evaluation.text_agreement import CANDIDATES, RETRIEVAL, TEXT_AGREEMENT
from jaxgen.metrics.adversarial import discriminator_accuracy
from jaxgen.metrics.extractors import FeatureExtractor, extractor_for, load_extractor
from jaxgen.metrics.image_features import Progress
from jaxgen.metrics.image_scores import METRICS, ImageScorer, check_names, metrics_with, too_few_for
from jaxgen.metrics.image_source import ImageSource, of_data, of_split, with_equal_channels
from jaxgen.runs.opened_run import Run, restore_run
from jaxgen.runs.run_data import load_run_data
from jaxgen.samples.numbered import BLOCK_SIZE, draw_conditions, held_out_captions, sample_blocks, sample_source
from jaxgen.samples.pictures import image_grid
from jaxgen.training import run_folder
from jaxgen.training.dispatch import build_evaluation
from jaxgen.training.parallel import device_mesh

if TYPE_CHECKING:
    from PIL import Image

HELD_OUT = "held_out"
DISCRIMINATOR = "discriminator"
LOG_LIKELIHOOD = "log_likelihood"
BITS = "bits_per_dimension"
NUM_SAMPLES = 10_000
IMPORTANCE_SAMPLES = 200
IMAGES_AT_ONCE = 500  # whose likelihood is estimated
PAIRS_IN_A_ROW = 16


def applicable_metrics(run: Run, data: Dataset, extractor_name: str) -> list[str]:
    """The names of the metrics that make sense for a run, in the order of the table."""
    names = []
    if data.test is not None:
        names.append(HELD_OUT)
    if run.model.sample is not None and data.kind == "image":
        names += metrics_with(extractor_name, labeled=draws_classes(run.model))
        if run.model.discriminate is not None and data.test is not None:
            names.append(DISCRIMINATOR)
    if data.kind == "text" and data.test is not None:
        names += texts.metrics_of(data)
    if data.test is not None:
        if run.model.embeddings is not None:
            names.append(RETRIEVAL)
        if draws_captions(run.model):
            names.append(TEXT_AGREEMENT)
        if _estimates_likelihood(run):
            names.append(LOG_LIKELIHOOD)
    return names


def _estimates_likelihood(run: Run) -> bool:
    return run.model.likelihood is not None and run.model.likelihood.log_likelihood is not None


def evaluate_run(
    run: Run,
    *,
    metrics: Sequence[str] | None = None,
    num_samples: int = NUM_SAMPLES,
    importance_samples: int = IMPORTANCE_SAMPLES,
    checkpoint: str = "last",
    seed: int = 0,
    split: str | None = None,
    extractor: str | None = None,
    weights: Path | None = None,
    text_scorer: Path | None = None,
    rank_with: Path | None = None,
    candidates: int = CANDIDATES,
    sampling: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    show_pairs: "Callable[[Image.Image], None] | None" = None,
) -> dict[str, Any]:
    """The record of one evaluation of a run; its `values` are the figures, the rest says how they were made.

    Args:
      metrics: names in `METRICS`, `held_out` (the model's own metrics on held-out examples), `discriminator` (its
        accuracy on training, held-out and generated images), `text`, `diversity` and `bars` (of models of text and
        music), `retrieval` (of captions, by an encoder of images and texts), `text_agreement` (the same, by images that
        are drawn) and `log_likelihood`; None: all that apply but the last, which takes long, text agreement without
        `text_scorer`, and what there are too few images for (`left_out` in the record).
      num_samples: how many samples are drawn, and at most how many real images they are compared with or estimated.
      importance_samples: for each image, of `log_likelihood`.
      checkpoint: "last", "best" or a step.
      split: the real images: "test" or "train"; None: the held-out ones where there are any.
      extractor: a name in `EXTRACTORS`; None: by the shape of the images.
      text_scorer: the run of emoji_clip that says how far images agree with their captions.
      rank_with, candidates: another, by which one of so many images is chosen for each caption.
      sampling: other keywords of the model's `sample`.
      show_pairs: with `memorisation`, called with the picture of samples over their nearest training images.

    Raises:
      UserError: what does not fit the run: an unknown metric or split, a run without samples, too few samples.
    """
    state = restore_run(run, checkpoint)
    data = load_run_data(run)
    image_shape = run.record["assets"].get("image_shape")
    extractor = extractor or (extractor_for(image_shape) if image_shape else "none")
    known = applicable_metrics(run, data, extractor)
    if metrics is not None:
        if run.model.sample is None and set(metrics) & set(METRICS):
            raise UserError(f"{run.experiment.name} is no generative model: it has no samples to score.")
        check_names(metrics, known)
    unasked = {LOG_LIKELIHOOD} | ({TEXT_AGREEMENT} if text_scorer is None else set())
    chosen = [name for name in known if name not in unasked] if metrics is None else list(metrics)
    ranked = {"rank_with": rank_with, "candidates": candidates}
    judges = text_agreement.open_judges(TEXT_AGREEMENT in chosen, text_scorer, image_shape, **ranked)
    if not chosen:
        raise UserError(f"There is no metric for {run.experiment.name}: it has no held-out examples and no images.")
    if num_samples < 2:
        raise UserError(f"--num-samples must be at least 2, not {num_samples}.")
    if importance_samples < 1:
        raise UserError(f"--importance-samples must be at least 1, not {importance_samples}.")
    record: dict[str, Any] = {"checkpoint": checkpoint, "step": int(state.step), "seed": seed, "data": data.name}
    if data.notes:
        record["data_changed"] = data.notes[0]
    if sampling:
        record["sampling"] = dict(sampling)
    values: dict[str, float] = {}
    held_out = functools.cache(lambda: _held_out_values(run, state, data))
    if HELD_OUT in chosen:
        values |= held_out()
    if texts.TEXT in chosen:
        values |= texts.prediction_values(data, held_out())
    drawn = functools.cache(lambda: texts.draw_texts(run, state, num_samples, seed))
    if texts.DIVERSITY in chosen:
        values |= texts.diversity_values(drawn(), data, seed)
    if texts.BARS in chosen:
        values |= texts.bar_values(drawn(), data)
    image_metrics = [name for name in chosen if name in METRICS]
    if image_metrics:
        loaded = load_extractor(extractor, weights)
        real = of_data(data, split, at_most=num_samples, seed=seed)
        if metrics is None:
            record["left_out"] = too_few_for(image_metrics, loaded.num_features, real.count, num_samples)
            image_metrics = [name for name in image_metrics if name not in record["left_out"]]
    if image_metrics:
        how = {**held_out_captions(run.model, data, num_samples), **(sampling or {})}
        generated = sample_source(run.model, state, num=num_samples, seed=seed, name="samples", **how)
        training = of_split(data, data.train, "training images")
        scorer = ImageScorer(real, loaded, image_metrics, training=training, seed=seed, progress=progress)
        values |= scorer.score(generated)
        pairs = scorer.nearest_pairs(PAIRS_IN_A_ROW)
        if pairs and show_pairs is not None:
            show_pairs(_pairs_picture(generated, training, pairs))
        record |= _facts(real, generated, loaded)
    if RETRIEVAL in chosen:
        values |= text_agreement.retrieval_values(run, state, data, seed=seed)
    if judges is not None:
        record |= {**judges.facts(), "text_images": min(num_samples, length(data.test))}
        asked = {"num_samples": num_samples, "seed": seed, "sampling": sampling or {}}
        values |= text_agreement.text_agreement_values(run, state, data, judges, **asked)
    if DISCRIMINATOR in chosen:
        values |= _discriminator_values(run, state, data, num_samples, seed)
    if LOG_LIKELIHOOD in chosen:
        count = min(num_samples, length(data.test))
        record |= {"held_out": count, "importance_samples": importance_samples}
        values |= _likelihood_values(run, state, data, count, importance_samples, seed, progress)
    return {**record, "versions": library_versions(), "values": values}


def evaluate_images(
    real: ImageSource,
    generated: ImageSource,
    *,
    metrics: Sequence[str] | None = None,
    seed: int = 0,
    extractor: str | None = None,
    weights: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """The record of a comparison of images from anywhere, as `evaluate_run` gives it for a run.

    Where one side is gray and the other RGB, the gray one is repeated to RGB, as the name of its source then says.

    Raises:
      UserError: an unknown metric, images of different shapes, too few of them.
    """
    real, generated = with_equal_channels(real, generated)
    extractor = extractor or extractor_for(real.shape)
    labeled = generated.labels is not None
    known = [name for name in metrics_with(extractor, labeled=labeled) if not METRICS[name].needs_training]
    check_names(metrics or (), known)
    loaded = load_extractor(extractor, weights)
    record: dict[str, Any] = {"seed": seed}
    if metrics is None:
        if min(real.count, generated.count) < 2:
            raise UserError(
                f"There are {real.count} real and {generated.count} generated images: comparing them needs at least 2 "
                "on either side, so add more."
            )
        record["left_out"] = too_few_for(known, loaded.num_features, real.count, generated.count)
        metrics = [name for name in known if name not in record["left_out"]]
    scorer = ImageScorer(real, loaded, metrics, seed=seed, progress=progress)
    values = scorer.score(generated)
    return {**record, **_facts(real, generated, loaded), "versions": library_versions(), "values": values}


def _facts(real: ImageSource, generated: ImageSource, extractor: FeatureExtractor) -> dict[str, Any]:
    return {
        "real": {"source": real.name, "count": real.count},
        "generated": {"source": generated.name, "count": generated.count},
        "extractor": {
            "name": extractor.name,
            "weights_sha256": extractor.weights_sha256,
            "resize": extractor.resize,
        },
    }


def _held_out_values(run: Run, state: TrainState, data: Dataset) -> dict[str, float]:
    evaluate = build_evaluation(run.model, data, device_mesh(1), batch_size=run.config.batch_size)
    return {f"{HELD_OUT}/{name}": value for name, value in evaluate(state).items()}


def _discriminator_values(run: Run, state: TrainState, data: Dataset, count: int, seed: int) -> dict[str, float]:
    """The discriminator's accuracy on the first `count` training, held-out and generated images."""
    model = run.model
    discriminate = jax.jit(lambda images, *condition: model.discriminate(state, images, *condition))
    conditional = draws_classes(model)

    def of_real(split: Split) -> np.ndarray:
        logits = []
        for start in range(0, min(count, length(split)), BLOCK_SIZE):
            batch = data.prepare(read_examples(split, start, min(start + BLOCK_SIZE, count)))
            logits.append(discriminate(batch["image"], *([batch["label"]] if conditional else [])))
        return np.concatenate(logits)

    blocks = -(-count // BLOCK_SIZE)
    labels = draw_conditions(model, blocks * BLOCK_SIZE)
    block = sample_blocks(model, state, seed, labels)
    of_block = [()] * blocks if labels is None else labels.reshape(blocks, 1, BLOCK_SIZE)
    generated = np.concatenate([discriminate(block(i), *of_block[i]) for i in range(blocks)])[:count]
    accuracy = discriminator_accuracy(of_real(data.train), of_real(data.test), generated)
    return {f"discriminator/{name}": float(value) for name, value in accuracy._asdict().items()}


def _likelihood_values(
    run: Run,
    state: TrainState,
    data: Dataset,
    count: int,
    importance_samples: int,
    seed: int,
    progress: Progress | None,
) -> dict[str, float]:
    """log p(x) of the first `count` held-out examples, estimated with so many samples for each: mean and its error."""
    likelihood = run.model.likelihood
    estimate = jax.jit(likelihood.log_likelihood, static_argnums=3)
    blocks = []
    for start in range(0, count, IMAGES_AT_ONCE):
        stop = min(start + IMAGES_AT_ONCE, count)
        batch = data.prepare(read_examples(data.test, start, stop))
        batch["index"] = np.arange(start, stop, dtype=np.uint32)
        blocks.append(np.asarray(estimate(state, jax.random.key(seed), batch, importance_samples), np.float64))
        if progress is not None:
            progress(LOG_LIKELIHOOD, stop, count)
    nats = np.concatenate(blocks)
    values = {"nats": np.mean(nats), "standard_error": np.std(nats, ddof=1) / np.sqrt(count)}
    if likelihood.bits_per_dimension is not None:
        values[BITS] = np.mean(likelihood.bits_per_dimension(nats))
    return {f"{LOG_LIKELIHOOD}/{name}": float(value) for name, value in values.items()}


def _pairs_picture(generated: ImageSource, training: ImageSource, pairs: list[tuple[int, int]]) -> "Image.Image":
    """Rows of samples, each over the row of their nearest training images."""
    rows = []
    for start in range(0, len(pairs), PAIRS_IN_A_ROW):
        for source, side in ((generated, 0), (training, 1)):
            rows += [source.read(pair[side], pair[side] + 1)[0] for pair in pairs[start : start + PAIRS_IN_A_ROW]]
    return image_grid(np.stack(rows), columns=min(PAIRS_IN_A_ROW, len(pairs)))


def library_versions() -> dict[str, str]:
    """What computed a value."""
    return {name: version(name) for name in ("jaxgen", "jax", "jaxlib", "numpy", "scipy")}


def remember(run_dir: Path, record: Mapping[str, Any]) -> Path:
    """Add a record to evaluation.json of a run; values made in the same way (all else equal) are joined."""
    path = run_dir / run_folder.EVALUATION
    records = read_evaluations(run_dir)
    settings = {key: value for key, value in record.items() if key != "values"}
    same = [old for old in records if {key: value for key, value in old.items() if key != "values"} == settings]
    values = {name: value for old in same for name, value in old["values"].items()} | dict(record["values"])
    records = [old for old in records if old not in same] + [{**settings, "values": values}]
    run_folder.write_json(path, {"evaluations": records})
    return path


def read_evaluations(run_dir: Path) -> list[dict[str, Any]]:
    """The records of evaluation.json, oldest first; none where the run was not evaluated.

    Raises:
      UserError: the file is damaged.
    """
    path = run_dir / run_folder.EVALUATION
    if not path.is_file():
        return []
    return read_json(path, _check_evaluations, "mend or remove it")["evaluations"]


def _check_evaluations(value: Any) -> None:
    found = from_json(value, dict[str, Any])
    if "evaluations" not in found:
        raise ValueError("it lacks evaluations")
    for record in from_json(found["evaluations"], list[dict[str, Any]]):
        if "values" not in record:
            raise ValueError("one of its evaluations has no values")
        from_json(record["values"], dict[str, float])
