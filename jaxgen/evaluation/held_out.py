"""`held_out`: the model's own metrics, such as its losses, on the held-out examples."""

from collections.abc import Sequence

from jaxgen.data.dataset import Dataset
from jaxgen.evaluation.request import Request, RunMetric, Scores
from jaxgen.runs.opened_run import Run

HELD_OUT = "held_out"


def _names(run: Run, data: Dataset, extractor: str) -> list[str]:
    return [] if data.test is None else [HELD_OUT]


def _scores(request: Request, names: Sequence[str], prepared: None) -> Scores:
    return Scores({f"{HELD_OUT}/{name}": value for name, value in request.held_out.items()})


METRIC = RunMetric(_names, _scores)
