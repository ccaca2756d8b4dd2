"""Scores of images (`fid`, `kid`, ...): of a run's samples, or of images from anywhere."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jaxgen.core.errors import UserError
from jaxgen.core.model import draws_classes
from jaxgen.core.types import Json
from jaxgen.data.dataset import Dataset
from jaxgen.evaluation.records import library_versions
from jaxgen.evaluation.request import Request, RunMetric, Scores
from jaxgen.metrics.extractors import FeatureExtractor, extractor_for, load_extractor
from jaxgen.metrics.image_features import Progress
from jaxgen.metrics.image_scores import METRICS, ImageScorer, check_names, metrics_with, too_few_for
from jaxgen.metrics.image_source import ImageSource, of_data, of_split, with_equal_channels
from jaxgen.runs.opened_run import Run
from jaxgen.samples.numbered import held_out_captions, sample_source
from jaxgen.samples.pictures import image_grid

if TYPE_CHECKING:
    from PIL import Image

PAIRS_IN_A_ROW = 16


def _names(run: Run, data: Dataset, extractor: str) -> list[str]:
    if run.model.sample is None or data.kind != "image":
        return []
    return metrics_with(extractor, labeled=draws_classes(run.model))


def _scores(request: Request, names: Sequence[str], prepared: None) -> Scores:
    run, data, num, seed = request.run, request.data, request.num_samples, request.seed
    facts: Json = {}
    loaded = load_extractor(request.extractor, request.weights)
    real = of_data(data, request.split, at_most=num, seed=seed)
    if request.all_that_apply:
        facts["left_out"] = too_few_for(names, loaded.num_features, real.count, num)
        names = [name for name in names if name not in facts["left_out"]]
    if not names:
        return Scores({}, facts)
    how = {**held_out_captions(run.model, data, num), **request.sampling}
    generated = sample_source(run.model, request.state, num=num, seed=seed, name="samples", **how)
    training = of_split(data, data.train, "training images")
    scorer = ImageScorer(real, loaded, names, training=training, seed=seed, progress=request.progress)
    values = scorer.score(generated)
    pairs = scorer.nearest_pairs(PAIRS_IN_A_ROW)
    if pairs and request.show_pairs is not None:
        request.show_pairs(_pairs_picture(generated, training, pairs))
    return Scores(values, facts | _facts(real, generated, loaded))


METRIC = RunMetric(_names, _scores)


def evaluate_images(
    real: ImageSource,
    generated: ImageSource,
    *,
    metrics: Sequence[str] | None = None,
    seed: int = 0,
    extractor: str | None = None,
    weights: Path | None = None,
    progress: Progress | None = None,
) -> Json:
    """Return the record of a comparison of images from anywhere, in the form of `evaluate_run`.

    If one side is gray and the other RGB, the gray one is repeated to RGB, which the name of its source then says.

    Raises:
      UserError: an unknown metric, images of different shapes, or too few images.
    """
    real, generated = with_equal_channels(real, generated)
    extractor = extractor or extractor_for(real.shape)
    labeled = generated.labels is not None
    known = [name for name in metrics_with(extractor, labeled=labeled) if not METRICS[name].needs_training]
    check_names(metrics or (), known)
    loaded = load_extractor(extractor, weights)
    record: Json = {"seed": seed}
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


def _facts(real: ImageSource, generated: ImageSource, extractor: FeatureExtractor) -> Json:
    return {
        "real": {"source": real.name, "count": real.count},
        "generated": {"source": generated.name, "count": generated.count},
        "extractor": {
            "name": extractor.name,
            "weights_sha256": extractor.weights_sha256,
            "resize": extractor.resize,
        },
    }


def _pairs_picture(generated: ImageSource, training: ImageSource, pairs: list[tuple[int, int]]) -> "Image.Image":
    """Return the picture of samples in rows, each above the row of their nearest training images."""
    rows = []
    for start in range(0, len(pairs), PAIRS_IN_A_ROW):
        for source, side in ((generated, 0), (training, 1)):
            rows += [source.read(pair[side], pair[side] + 1)[0] for pair in pairs[start : start + PAIRS_IN_A_ROW]]
    return image_grid(np.stack(rows), columns=min(PAIRS_IN_A_ROW, len(pairs)))
