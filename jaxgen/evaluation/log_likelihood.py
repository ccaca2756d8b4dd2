"""`log_likelihood`: log p(x) of held-out examples, estimated with many samples per example."""

from collections.abc import Sequence

import jax
import numpy as np

from jaxgen.core.errors import UserError
from jaxgen.core.types import present
from jaxgen.data.dataset import Dataset, length, prepared, read_examples
from jaxgen.evaluation.request import Request, RunMetric, Scores
from jaxgen.runs.opened_run import Run

LOG_LIKELIHOOD = "log_likelihood"
AT_ONCE = 500
"""Number of examples whose log p(x) is estimated at once."""


def _names(run: Run, data: Dataset, extractor: str) -> list[str]:
    likelihood = run.model.likelihood
    estimated = likelihood is not None and likelihood.log_likelihood is not None
    return [LOG_LIKELIHOOD] if estimated and data.test is not None else []


def _prepare(request: Request, names: Sequence[str]) -> None:
    if request.importance_samples < 1:
        raise UserError(f"--importance-samples must be at least 1, not {request.importance_samples}.")


def _scores(request: Request, names: Sequence[str], ready: None) -> Scores:
    """Return the mean over the first `num_samples` held-out examples, its standard error, and bits per dimension."""
    likelihood, data, test = present(request.run.model.likelihood), request.data, present(request.data.test)
    count = min(request.num_samples, length(test))
    estimate = jax.jit(present(likelihood.log_likelihood), static_argnums=3)
    blocks = []
    for start in range(0, count, AT_ONCE):
        stop = min(start + AT_ONCE, count)
        index = np.arange(start, stop, dtype=np.uint32)
        batch = {**prepared(data, read_examples(test, start, stop)), "index": index}
        nats = estimate(request.state, jax.random.key(request.seed), batch, request.importance_samples)
        blocks.append(np.asarray(nats, np.float64))
        if request.progress is not None:
            request.progress(LOG_LIKELIHOOD, stop, count)
    nats = np.concatenate(blocks)
    values = {"nats": np.mean(nats), "standard_error": np.std(nats, ddof=1) / np.sqrt(count)}
    if likelihood.bits_per_dimension is not None:
        values["bits_per_dimension"] = np.mean(likelihood.bits_per_dimension(nats))
    return Scores(
        {f"{LOG_LIKELIHOOD}/{name}": float(value) for name, value in values.items()},
        {"held_out": count, "importance_samples": request.importance_samples},
    )


METRIC = RunMetric(_names, _scores, _prepare, asked_by_default=lambda request: False)  # it takes long
