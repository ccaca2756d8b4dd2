"""Scores of generated images, by name: `fid`, `kid`, ... from the outputs of a feature extractor."""

import functools
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from jaxgen.core.errors import UserError
from jaxgen.core.types import present
from jaxgen.metrics.extractors import FeatureExtractor, check_shape, say_shape
from jaxgen.metrics.frechet import frechet_distance_of_moments
from jaxgen.metrics.image_features import ImageFeatures, Progress, extract_features
from jaxgen.metrics.image_source import ImageSource
from jaxgen.metrics.inception_score import classifier_score
from jaxgen.metrics.kernel import kernel_distance
from jaxgen.metrics.label_scores import class_shares, label_agreement
from jaxgen.metrics.neighbors import density_coverage, nearest_training, precision_recall

NUM_SPLITS = 10  # for the classifier score
NEIGHBORS = 3  # for precision and recall, as in their paper
DENSITY_NEIGHBORS = 5  # for density and coverage, as in their paper


class Comparison(NamedTuple):
    """Inputs of a metric."""

    real: ImageFeatures
    generated: ImageFeatures
    training: Callable[[], ImageFeatures]
    """Function that returns the features of the training images; the first call reads them, which is slow."""
    seed: int
    progress: Progress | None
    labels: np.ndarray | None
    """[N], the labels for which the generated images were made."""
    real_images: ImageSource
    """The real images themselves, for a metric of pixels."""
    generated_images: ImageSource
    """The generated images themselves."""
    nearest: dict[str, np.ndarray]
    """Result of `memorisation`: the nearest training image of each generated one, `distances` and `indices` [N]."""

    def bar(self, what: str) -> Callable[[int, int], None] | None:
        """Return the progress function for one part."""
        return None if self.progress is None else partial(self.progress, what)


class Metric(NamedTuple):
    """A score of generated images."""

    values: tuple[str, ...]
    """Names of its values."""
    compute: Callable[[Comparison], tuple[float, ...]]
    """Function that returns the values, in the order of their names."""
    keeps_features: bool = False
    needs_training: bool = False
    needs_classes: bool = False
    """Whether the extractor's classes must be those of the images."""
    needs_labels: bool = False
    least: tuple[int, int] = (1, 1)
    """Minimum numbers of real and generated images; those of `fid` depend on the extractor (`least_images`)."""


def _fid(c: Comparison) -> tuple[float, ...]:
    return (frechet_distance_of_moments(c.real.moments, c.generated.moments),)


def _kid(c: Comparison) -> tuple[float, ...]:
    # Subsets of all samples would be identical, and the error would seem to be 0.
    size = max(2, min(1_000, c.real.count // 2, c.generated.count // 2))
    value, error = kernel_distance(c.real.kept, c.generated.kept, subset_size=size, seed=c.seed)
    # With two images on either side there is only one subset.
    return value, math.nan if size == max(c.real.count, c.generated.count) else error


def _score(c: Comparison) -> tuple[float, ...]:
    return classifier_score(c.generated.logits, num_splits=NUM_SPLITS)


def _precision_recall(c: Comparison) -> tuple[float, ...]:
    bar = c.bar("precision and recall")
    return precision_recall(c.real.kept, c.generated.kept, k=NEIGHBORS, progress=bar)


def _density_coverage(c: Comparison) -> tuple[float, ...]:
    bar = c.bar("density and coverage")
    return density_coverage(c.real.kept, c.generated.kept, k=DENSITY_NEIGHBORS, progress=bar)


def _classes(c: Comparison) -> tuple[float, ...]:
    shares = class_shares(c.generated.logits)
    return shares.confident, shares.mean_confidence, shares.classes.min(), shares.modes, shares.entropy


def _labels(c: Comparison) -> tuple[float, ...]:
    assert c.labels is not None
    return label_agreement(c.generated.logits, c.labels)


def _memorization(c: Comparison) -> tuple[float, ...]:
    found = nearest_training(
        c.generated.kept, c.training().kept, c.real.kept, progress=c.bar("nearest training images")
    )
    c.nearest.update(distances=found.distances, indices=found.indices)
    return found.ratio, found.closer


METRICS: dict[str, Metric] = {
    "fid": Metric(("fid",), _fid),
    "kid": Metric(("kid", "kid_standard_error"), _kid, keeps_features=True, least=(2, 2)),
    "score": Metric(("score", "score_standard_deviation"), _score, least=(1, NUM_SPLITS)),
    "precision_recall": Metric(
        ("precision", "recall"), _precision_recall, keeps_features=True, least=(NEIGHBORS + 1, NEIGHBORS + 1)
    ),
    "density_coverage": Metric(
        ("density", "coverage"), _density_coverage, keeps_features=True, least=(DENSITY_NEIGHBORS + 1, 1)
    ),
    "classes": Metric(
        ("confident", "mean_confidence", "rarest_class", "modes", "class_entropy"), _classes, needs_classes=True
    ),
    "labels": Metric(("label_agreement", "label_purity"), _labels, needs_classes=True, needs_labels=True),
    "memorisation": Metric(
        ("memorisation_ratio", "closer_to_training"), _memorization, keeps_features=True, needs_training=True
    ),
}


def metrics_with(extractor_name: str, *, labeled: bool) -> list[str]:
    """Return the names of the metrics that are defined for an extractor, and for images with or without labels."""
    has_classes = extractor_name == "mnist"
    return [
        name
        for name, metric in METRICS.items()
        if (has_classes or not metric.needs_classes) and (labeled or not metric.needs_labels)
    ]


def least_images(name: str, num_features: int) -> tuple[int, int]:
    """Return how many real and how many generated images a metric needs, given the number of features."""
    return (num_features + 1, num_features + 1) if name == "fid" else METRICS[name].least


def too_few_for(names: Sequence[str], num_features: int, real: int, generated: int) -> dict[str, str]:
    """Return the metrics for which there are too few real or generated images, and the reason for each."""
    reasons = {}
    for name in names:
        least = least_images(name, num_features)
        if real >= least[0] and generated >= least[1]:
            continue
        if name == "fid":
            few = min(real, generated)
            reasons[name] = f"{few:,} images are no more than the {num_features:,} features; kid has no such bound"
        else:
            needed = f"{least[0]} real and {least[1]} generated images"
            reasons[name] = f"it needs at least {needed}, and there are {real:,} and {generated:,}"
    return reasons


def refuse_too_few(names: Sequence[str], num_features: int, real: int, generated: int, *, option: str = "") -> None:
    """Refuse metrics for which there are too few real or generated images.

    Raises:
      UserError: there is such a metric; the message names the first one after the `option` that requested it.
    """
    for name, why in too_few_for(names, num_features, real, generated).items():
        raise UserError(f"There are too few images for {f'{option} {name}'.strip()}: {why}.")


def metric_names(text: str | None) -> list[str]:
    """Split "fid,kid" into its names."""
    return [] if text is None else [name.strip() for name in text.split(",") if name.strip()]


def check_names(names: Sequence[str], known: Sequence[str] = tuple(METRICS)) -> None:
    """Refuse unknown metrics.

    Raises:
      UserError: a name is unknown.
    """
    if unknown := [name for name in names if name not in known]:
        raise UserError(f"There is no metric {unknown[0]!r}: use {', '.join(known)}.")


class ImageScorer:
    """Scores of generated images against the same real ones, whose features are computed once."""

    def __init__(
        self,
        real: ImageSource,
        extractor: FeatureExtractor,
        metrics: Sequence[str],
        *,
        training: ImageSource | None = None,
        seed: int = 0,
        progress: Progress | None = None,
    ):
        """Set the real images, the extractor and the metrics.

        Args:
          real: held-out images, if there are any.
          metrics: names in `METRICS`.
          training: images that the model was trained on; only needed by some metrics.

        Raises:
          UserError: a metric is unknown, or the extractor does not support the images.
        """
        check_names(metrics)
        self.extractor, self.seed, self.progress = extractor, seed, progress
        self.metrics = {name: metric for name, metric in METRICS.items() if name in metrics}  # fast metrics first
        self.shape = real.shape
        self.keep = any(metric.keeps_features for metric in self.metrics.values())
        if training is None and any(metric.needs_training for metric in self.metrics.values()):
            raise UserError("The metric 'memorisation' needs the training images: leave it out of --metrics.")
        check_shape(extractor, real.shape)
        self._real = real
        self._training_features = functools.cache(lambda: self._features(present(training)))
        self.nearest: dict[str, np.ndarray] = {}

    @functools.cached_property
    def real(self) -> ImageFeatures:
        """Features of the real images, computed at the first access."""
        return self._features(self._real)

    def _features(self, source: ImageSource) -> ImageFeatures:
        return extract_features(source, self.extractor, keep_features=self.keep, progress=self.progress)

    def score(self, generated: ImageSource) -> dict[str, float]:
        """Return every value of every metric, by name.

        Raises:
          UserError: the images have another shape than the real ones, or are too few for a metric.
        """
        if generated.shape != self.shape:
            raise UserError(
                f"{generated.name} has images of {say_shape(generated.shape)}, but the real ones are "
                f"{say_shape(self.shape)}: they must have the same shape."
            )
        refuse_too_few(list(self.metrics), self.extractor.num_features, self._real.count, generated.count)
        if generated.labels is None and any(metric.needs_labels for metric in self.metrics.values()):
            raise UserError(f"{generated.name} has no labels to compare with: leave 'labels' out of --metrics.")
        comparison = Comparison(
            self.real,
            self._features(generated),
            self._training_features,
            self.seed,
            self.progress,
            generated.labels,
            self._real,
            generated,
            self.nearest,
        )
        values: dict[str, float] = {}
        for metric in self.metrics.values():
            values |= {
                name: float(value) for name, value in zip(metric.values, metric.compute(comparison), strict=True)
            }
        return values

    def nearest_pairs(self, count: int) -> list[tuple[int, int]]:
        """Return (generated, nearest training image) pairs: the `count` nearest, then `count` evenly from near to far.

        The list is empty unless `memorisation` was among the metrics of the last score.
        """
        if not self.nearest:
            return []
        order = np.argsort(self.nearest["distances"], kind="stable")
        spread = order[np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int)]
        return [(int(i), int(self.nearest["indices"][i])) for i in np.concatenate([order[:count], spread])]
