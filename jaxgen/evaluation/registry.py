"""The evaluation of a run: a loop over the table of its metrics."""

from collections.abc import Sequence
from typing import Any

from jaxgen.core.errors import UserError
from jaxgen.core.types import Json, SampleOptions
from jaxgen.data.dataset import Dataset
from jaxgen.evaluation import discriminator, held_out, images, log_likelihood, text_agreement, texts
from jaxgen.evaluation.records import library_versions
from jaxgen.evaluation.request import Request, RunMetric
from jaxgen.metrics.extractors import extractor_for
from jaxgen.metrics.image_scores import METRICS, check_names
from jaxgen.runs.opened_run import Run, restore_run
from jaxgen.runs.run_data import load_run_data

RUN_METRICS: tuple[RunMetric, ...] = (
    held_out.METRIC,
    texts.PREDICTION,
    texts.DIVERSITY_OF_TEXTS,
    texts.BARS_OF_TUNES,
    images.METRIC,
    text_agreement.RETRIEVAL_OF_CAPTIONS,
    text_agreement.AGREEMENT,
    discriminator.METRIC,
    log_likelihood.METRIC,
)
"""The metrics of runs, in the order in which their values are shown. Each says which runs it applies to."""


def applicable_metrics(run: Run, data: Dataset, extractor: str) -> list[str]:
    """Return the names of the metrics that apply to a run."""
    return [name for metric in RUN_METRICS for name in metric.names(run, data, extractor)]


def evaluate_run(
    run: Run,
    *,
    metrics: Sequence[str] | None = None,
    checkpoint: str = "last",
    extractor: str | None = None,
    sampling: SampleOptions | None = None,
    **how: Any,
) -> Json:
    """Return the record of one evaluation of a run: `values` are the figures, the rest says how they were computed.

    Args:
      metrics: names of image metrics (`METRICS`) and of metrics in `RUN_METRICS`; None: all that apply except
        `log_likelihood`, which takes long, text agreement without `text_scorer`, and metrics for which there are too
        few images (`left_out` in the record).
      checkpoint: "last", "best" or a step.
      extractor: a name in `EXTRACTORS`; None: chosen by the shape of the images.
      sampling: other keywords of the model's `sample`.
      how: other fields of `Request`: `num_samples`, `importance_samples`, `seed`, `split`, `weights`, `text_scorer`,
        `rank_with`, `candidates`, `progress`, `show_pairs`.

    Raises:
      UserError: an argument does not fit the run: an unknown metric or split, a run without samples, too few samples.
    """
    state, data = restore_run(run, checkpoint), load_run_data(run)
    image_shape = run.record["assets"].get("image_shape")
    extractor = extractor or (extractor_for(image_shape) if image_shape else "none")
    request = Request(run, state, data, extractor, sampling=sampling or {}, all_that_apply=metrics is None, **how)
    if metrics is not None:
        if run.model.sample is None and set(metrics) & set(METRICS):
            raise UserError(f"{run.name} is no generative model: it has no samples to score.")
        check_names(metrics, applicable_metrics(run, data, extractor))
    asked = [_asked(metric, request, metrics) for metric in RUN_METRICS]
    prepared = [metric.prepare(request, names) for metric, names in zip(RUN_METRICS, asked, strict=True)]
    if not any(asked):
        raise UserError(f"There is no metric for {run.name}: it has no held-out examples and no images.")
    if request.num_samples < 2:
        raise UserError(f"--num-samples must be at least 2, not {request.num_samples}.")
    record = _begun(request, checkpoint)
    values: dict[str, float] = {}
    for metric, names, ready in zip(RUN_METRICS, asked, prepared, strict=True):
        if names:
            scores = metric.scores(request, names, ready)
            record |= scores.facts
            values |= scores.values
    return {**record, "versions": library_versions(), "values": values}


def _asked(metric: RunMetric, request: Request, metrics: Sequence[str] | None) -> list[str]:
    """Return the names by which a metric is requested."""
    known = metric.names(request.run, request.data, request.extractor)
    if metrics is None:
        return known if metric.asked_by_default(request) else []
    return [name for name in metrics if name in known]


def _begun(request: Request, checkpoint: str) -> Json:
    """Return the first entries of a record."""
    data = request.data
    record = {"checkpoint": checkpoint, "step": int(request.state.step), "seed": request.seed, "data": data.name}
    if data.notes:
        record["data_changed"] = data.notes[0]
    if request.sampling:
        record["sampling"] = dict(request.sampling)
    return record
