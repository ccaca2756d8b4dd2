"""Scores of samples while a model is trained: `--eval-metrics fid --eval-samples 2000`."""

from collections.abc import Callable
from typing import Annotated

from jaxgen.core.errors import UserError
from jaxgen.core.model import GenerativeModel, draws_classes
from jaxgen.core.options import Names
from jaxgen.core.state import TrainState
from jaxgen.data.dataset import Dataset, length
from jaxgen.metrics.extractors import extractor_for, load_extractor
from jaxgen.metrics.image_scores import METRICS, ImageScorer, check_names, metric_names, refuse_too_few
from jaxgen.metrics.image_source import of_data, of_split
from jaxgen.samples.numbered import held_out_captions, sample_source

MetricNames = Annotated[str, Names(tuple(METRICS))]
"""Names of scores of images, with commas between them."""


def value_names(model: GenerativeModel, data: Dataset, names: str | None, *, num_samples: int) -> list[str]:
    """Return the names of the values of `--eval-metrics`.

    Args:
      names: names of metrics with commas between them, or None.
      num_samples: number of samples that are scored.

    Raises:
      UserError: an unknown metric, a model without samples that are images, or too few images to compare them with.
    """
    metrics = metric_names(names)
    check_names(metrics)
    if metrics and (model.sample is None or data.kind != "image"):
        raise UserError("--eval-metrics score samples of images, which this model does not make: leave it out.")
    if not draws_classes(model) and any(METRICS[name].needs_labels for name in metrics):
        raise UserError("--eval-metrics labels needs a model that is given classes: leave it out.")
    real = length(data.train if data.test is None else data.test)
    if metrics and real < 2:
        raise UserError("--eval-metrics need 2 images or more to compare samples with: give more, or leave it out.")
    num_features = 0
    if "fid" in metrics:
        num_features = load_extractor(extractor_for(of_split(data, data.train, "training images").shape)).num_features
    refuse_too_few(metrics, num_features, min(real, num_samples), num_samples, option="--eval-metrics")
    return [value for name in metrics for value in METRICS[name].values]


def build_sample_scores(
    model: GenerativeModel, data: Dataset, names: str | None, *, num_samples: int, seed: int
) -> Callable[[TrainState], dict[str, float]] | None:
    """Return `score(state)`, the values of `--eval-metrics`, always from the same keys; None without such metrics.

    Samples are compared with held-out images (or training images if none are held out), read at the first call.
    """
    metrics = metric_names(names)
    if not metrics:
        return None
    scorer: ImageScorer | None = None

    def score(state: TrainState) -> dict[str, float]:
        nonlocal scorer
        if scorer is None:
            real = of_data(data, at_most=num_samples, seed=seed)
            training = of_split(data, data.train, "training images")
            scorer = ImageScorer(real, load_extractor(extractor_for(real.shape)), metrics, training=training)
        how = held_out_captions(model, data, num_samples)
        return scorer.score(sample_source(model, state, num=num_samples, seed=seed, name="samples", **how))

    return score
