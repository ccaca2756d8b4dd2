"""Options of experiments that keep their best checkpoint.

A config gets them by naming one of these before the class of its other options.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from jaxgen.core.options import Text, within
from jaxgen.training.config import MetricNames


@dataclass(frozen=True)
class LeastIsBest:
    """A metric that is to be small."""

    best_is: Literal["max", "min"] = "min"
    """Whether the largest or the smallest value of --best-metric is the best."""


@dataclass(frozen=True)
class GreatestIsBest:
    """A metric that is to be large."""

    best_is: Literal["max", "min"] = "max"
    """Whether the largest or the smallest value of --best-metric is the best."""


@dataclass(frozen=True)
class BestByLoss(LeastIsBest):
    """By the loss of held-out sequences."""

    best_metric: Text | None = "eval/autoregressive/loss"
    """Keep in checkpoints_best/ the checkpoint with the best value of this evaluation metric."""


@dataclass(frozen=True)
class BestByFID(LeastIsBest):
    """By the scores of samples, where thousands of images are held out."""

    eval_metrics: MetricNames | None = "fid"
    """Scores of samples at each evaluation, names with commas between them (fid,kid,..., see jaxgen evaluate)."""
    best_metric: Text | None = "eval/fid"
    """Keep in checkpoints_best/ the checkpoint with the best value of this evaluation metric."""


@dataclass(frozen=True)
class BestByKID(LeastIsBest):
    """By the scores of samples where few images are held out, of which an FID would be biased."""

    eval_metrics: MetricNames | None = "kid"
    """Scores of samples at each evaluation, names with commas between them (fid,kid,..., see jaxgen evaluate)."""
    eval_samples: Annotated[int, *within(2, 10**9)] = 1_000
    """How many samples --eval-metrics are of, and at most how many held-out images they are compared with."""
    best_metric: Text | None = "eval/kid"
    """Keep in checkpoints_best/ the checkpoint with the best value of this evaluation metric, e.g. eval/fid."""
