"""What is asked of a run, and what a metric of a run is: it says what it needs, and what it gives."""

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
"""As many as Zhu et al. 2018 compare."""


@dataclass(frozen=True)
class Request:
    """A run with its state and data, and how it is evaluated."""

    run: Run
    state: TrainState
    data: Dataset
    extractor: str
    """A name in `EXTRACTORS`, or "none"."""
    num_samples: int = NUM_SAMPLES
    """How many samples are drawn, and at most how many real images they are compared with or estimated."""
    importance_samples: int = IMPORTANCE_SAMPLES
    """Of each example, for its likelihood."""
    seed: int = 0
    split: str | None = None
    """The real images: "test" or "train"; None: the held-out ones where there are any."""
    weights: Path | None = None
    """The file of the extractor's weights, where it is not the package's."""
    text_scorer: Path | None = None
    """The run of emoji_clip that says how far images agree with their captions."""
    rank_with: Path | None = None
    """Another, by which one of `candidates` images is chosen for each caption."""
    candidates: int = CANDIDATES
    sampling: SampleOptions = field(default_factory=dict)
    """Other keywords of the model's `sample`."""
    progress: Progress | None = None
    show_pairs: "Callable[[Image.Image], None] | None" = None
    """Called with the picture of samples over their nearest training images, where `memorisation` is asked for."""
    all_that_apply: bool = True
    """Whether no metrics were named: then what there are too few images for is left out, and not refused."""

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
    """What a metric gives."""

    values: dict[str, float]
    """By names such as "text/perplexity"."""
    facts: Mapping[str, Any] = {}
    """What is kept beside them, of how they were made."""


def nothing_to_prepare(request: Request, names: Sequence[str]) -> None:
    """Accept every request."""


class RunMetric(NamedTuple):
    """What `jaxgen evaluate RUN` can say."""

    names: Callable[[Run, Dataset, str], list[str]]
    """(run, data, extractor) -> the names by which it can be asked of this run; none where it makes no sense."""
    scores: Callable[[Request, Sequence[str], Any], Scores]
    """(request, names that are asked, what `prepare` returned) -> the scores."""
    prepare: Callable[[Request, Sequence[str]], Any] = nothing_to_prepare
    """(request, names that are asked, or none) -> what `scores` needs; refuses options before any work is done."""
    asked_by_default: Callable[[Request], bool] = lambda request: True
    """Whether it is taken where no metrics are named."""
