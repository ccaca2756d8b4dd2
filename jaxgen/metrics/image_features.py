"""Features of images: their moments in one pass, and the features themselves only if a metric needs them."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jaxgen.metrics.extractors import FeatureExtractor, check_shape
from jaxgen.metrics.image_source import ImageSource, in_blocks
from jaxgen.metrics.moments import BLOCK_SIZE, Moments, add_features, empty_moments

Progress = Callable[[str, int, int], None]
"""Function called with (description, number done, number of all)."""


class ImageFeatures(NamedTuple):
    """Moments, logits and features of N images."""

    count: int  # pyright: ignore[reportIncompatibleMethodOverride]  # hides tuple.count, which is not used
    moments: Moments
    logits: np.ndarray
    """[N, K], logits of the extractor's classes."""
    features: np.ndarray | None
    """[N, F] float32; None if they were not kept."""

    @property
    def kept(self) -> np.ndarray:
        """[N, F] float32, the features; they must have been kept."""
        assert self.features is not None
        return self.features


def extract_features(
    source: ImageSource, extractor: FeatureExtractor, *, keep_features: bool, progress: Progress | None = None
) -> ImageFeatures:
    """Run the images of a source through an extractor, a batch at a time.

    Raises:
      UserError: the extractor does not support the images' shape.
    """
    check_shape(extractor, source.shape)
    moments, logits, kept, pending, done = empty_moments(extractor.num_features), [], [], [], 0
    size = extractor.batch_size
    for images in in_blocks(source, size):
        count = len(images)
        if count < size:  # pad the last batch, so that one compiled program serves all
            images = np.concatenate([images, np.repeat(images[-1:], size - count, axis=0)])
        features, batch_logits = extractor.extract(images)
        logits.append(np.asarray(batch_logits)[:count])
        pending.append(np.asarray(features)[:count])
        if keep_features:
            kept.append(pending[-1])
        done += count
        if sum(map(len, pending)) >= BLOCK_SIZE or done == source.count:
            moments, pending = add_features(moments, np.concatenate(pending)), []
        if progress is not None:
            progress(f"features of {source.name}", done, source.count)
    return ImageFeatures(done, moments, np.concatenate(logits), np.concatenate(kept) if keep_features else None)
