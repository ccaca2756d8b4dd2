"""The request of an evaluation, and the interface of a metric of runs: what it needs, and what it returns."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jaxgen.core.state import TrainState
from jaxgen.core.types import SampleOptions
from jaxgen.data.dataset import Dataset
from jaxgen.metrics.image_features import Progress
from jaxgen.runs.opened_run import Run
from jaxgen.samples.numbered import draw_samples
from jaxgen.training.dispatch import build_evaluation
from jaxgen.training.parallel import device_mesh

if TYPE_CHECKING:
    from PIL import Image

NUM_SAMPLES = 10_000
IMPORTANCE_SAMPLES = 200
CANDIDATES = 16
MOST_TEXTS = 500
"""Largest number of texts that are judged, as many as Zhu et al. 2018 compare."""


@dataclass(frozen=True)
class Request:
    """A run with its state and data, and how it is evaluated."""

    run: Run
    state: TrainState
    data: Dataset
    extractor: str
    """A name in `EXTRACTORS`, or "none"."""
    num_samples: int = NUM_SAMPLES
    """Number of samples to draw, and the largest number of real images to compare them with or to estimate."""
    importance_samples: int = IMPORTANCE_SAMPLES
    """Number of samples per example in the estimate of its likelihood."""
    seed: int = 0
    split: str | None = None
    """The split of the real images, "test" or "train"; None: the held-out images if there are any."""
    weights: Path | None = None
    """The file of the extractor's weights, if they are not part of the package."""
    text_scorer: Path | None = None
    """The run of emoji_clip that scores how well images agree with their captions."""
    rank_with: Path | None = None
    """Another run of emoji_clip, which chooses one of `candidates` images for each caption."""
    candidates: int = CANDIDATES
    sampling: SampleOptions = field(default_factory=dict)
    """Other keywords of the model's `sample`."""
    progress: Progress | None = None
    show_pairs: "Callable[[Image.Image], None] | None" = None
    """Called with the picture of samples above their nearest training images if `memorisation` is requested."""
    all_that_apply: bool = True
    """Whether no metrics were named: then metrics with too few images are left out instead of refused."""

    @cached_property
    def held_out(self) -> dict[str, float]:
        """The model's own metrics of the held-out examples, by their names."""
        size = self.run.config.run.batch_size
        return build_evaluation(self.run.model, self.data, device_mesh(1), batch_size=size)(self.state)

    @cached_property
    def texts(self) -> np.ndarray:
        """Tokens [N, T] of the texts that are judged, at most `MOST_TEXTS`."""
        return draw_samples(self.run.model, self.state, num=min(self.num_samples, MOST_TEXTS), seed=self.seed)


class Scores(NamedTuple):
    """The result of a metric."""

    values: dict[str, float]
    """Values by names such as "text/perplexity"."""
    facts: Mapping[str, Any] = {}
    """Further entries of the record, which say how the values were computed."""


def nothing_to_prepare(request: Request, names: Sequence[str]) -> None:
    """Accept every request."""


class RunMetric(NamedTuple):
    """A metric of `jaxgen evaluate RUN`."""

    names: Callable[[Run, Dataset, str], list[str]]
    """(run, data, extractor) -> the names by which it can be requested for this run; empty if it does not apply."""
    scores: Callable[[Request, Sequence[str], Any], Scores]
    """(request, requested names, result of `prepare`) -> the scores."""
    prepare: Callable[[Request, Sequence[str]], Any] = nothing_to_prepare
    """(request, requested names, maybe empty) -> what `scores` needs; refuses bad options before any work is done."""
    asked_by_default: Callable[[Request], bool] = lambda request: True
    """request -> whether the metric is computed if no metrics are named."""
