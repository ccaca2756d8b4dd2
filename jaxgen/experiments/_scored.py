"""Options of experiments that keep the checkpoint whose samples score best."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class BestByFID:
    """What a config gets by naming this before the class of its other options."""

    eval_metrics: str | None = "fid"
    """Scores of samples at each evaluation, names with commas between them (fid,kid,..., see jaxgen evaluate)."""
    best_metric: str | None = "eval/fid"
    """Keep in checkpoints_best/ the checkpoint with the best value of this evaluation metric."""
    best_is: Literal["max", "min"] = "min"
    """Whether the largest or the smallest value of --best-metric is the best."""
