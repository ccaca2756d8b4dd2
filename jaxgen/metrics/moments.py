"""Means and covariances of features, in one pass and in float64, for any number of samples."""

from typing import NamedTuple

import numpy as np

from jaxgen.core.errors import UserError
from jaxgen.metrics.feature_arrays import check_features

BLOCK_SIZE = 4096  # samples added at once, since each addition goes over all of [F, F]


class Moments(NamedTuple):
    """Number, mean and scatter of samples."""

    count: int  # pyright: ignore[reportIncompatibleMethodOverride]  # hides tuple.count, which is not used
    """N, the number of samples."""
    mean: np.ndarray
    """[F] float64."""
    scatter: np.ndarray
    """[F, F] float64, sum_i (x_i - mean) (x_i - mean)^T."""


def empty_moments(num_features: int) -> Moments:
    """Return the moments of no samples with F = num_features features."""
    return Moments(0, np.zeros(num_features), np.zeros((num_features, num_features)))


def add_features(moments: Moments, features: np.ndarray) -> Moments:
    """Add a batch of features [B, F], B > 0, to the moments.

    For n samples with mean m and B with mean b, the scatter is the sum of both scatters and n B / (n + B) d d^T with d
    = b - m (Chan et al. 1979, "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances").

    Raises:
      UserError: the features are not [B, F], or have another number of features than the moments.
    """
    (features,) = check_features(given=features)
    if features.shape[1] != len(moments.mean):
        raise UserError(
            f"The given features are {features.shape[1]} a sample, and those before {len(moments.mean)}: use one "
            "extractor for all."
        )
    centered = features.astype(np.float64)
    mean = centered.mean(0)
    centered -= mean
    total = moments.count + len(centered)
    difference = mean - moments.mean
    scatter = centered.T @ centered
    scatter += moments.scatter
    if moments.count:
        scatter += moments.count * len(centered) / total * np.outer(difference, difference)
    return Moments(total, moments.mean + len(centered) / total * difference, scatter)


def moments_of(features: np.ndarray) -> Moments:
    """Return the moments of an array of features [N, F].

    Raises:
      UserError: the features are not [N, F].
    """
    (features,) = check_features(given=features)
    moments = empty_moments(features.shape[1])
    for start in range(0, len(features), BLOCK_SIZE):
        moments = add_features(moments, features[start : start + BLOCK_SIZE])
    return moments


def mean_and_covariance(moments: Moments) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean [F] and the covariance [F, F], which is divided by N - 1.

    Raises:
      UserError: there are fewer than two samples.
    """
    if moments.count < 2:
        raise UserError(f"A covariance needs at least 2 samples, and there are {moments.count}: give more.")
    return moments.mean, moments.scatter / (moments.count - 1)
