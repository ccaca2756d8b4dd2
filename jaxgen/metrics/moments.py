"""Means and covariances of features in one pass on the device, as accurate as if they were summed in float64.

Three things make float32 enough: features are summed after a first estimate of their mean is subtracted, matrix
products are of few samples at once, and what rounding takes from the running sums is kept beside them (the compensated
sum of Neumaier 1974).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxgen.errors import UserError
from jaxgen.metrics.feature_arrays import check_features

# A float32 product of more samples than this loses digits that the compensated sums cannot bring back.
SAMPLES_PER_PRODUCT = 256
BLOCK_SIZE = 4096


class Sums(NamedTuple):
    """Sums over samples of (w, w d, w d d^T) with the weight w of a sample and d = features - shift."""

    weight: jax.Array
    """[]"""
    first: jax.Array
    """[F]"""
    second: jax.Array
    """[F, F]"""


class Moments(NamedTuple):
    """What is known of the samples so far; 2 F^2 float32 numbers, however many samples there are."""

    shift: jax.Array
    """[F], subtracted from features before they are summed: the mean of the first batch. Digits are lost only where it
    is several times the features' spread away from the mean of all."""
    sums: Sums
    lost: Sums
    """What rounding has taken from `sums`: their true value is sums + lost."""


def empty_moments(num_features: int) -> Moments:
    """The moments of no samples with F = num_features features."""
    zeros = Sums(jnp.zeros(()), jnp.zeros(num_features), jnp.zeros((num_features, num_features)))
    return Moments(jnp.zeros(num_features), zeros, zeros)


@jax.jit
def add_features(moments: Moments, features: jax.Array, weights: jax.Array | None = None) -> Moments:
    """Adds a batch of features [B, F].

    Args:
      weights: [B], how often each sample counts; 0 for what only fills up a batch, whose features may be anything.
        None: all count once.
    """
    features = features.astype(jnp.float32)
    weights = jnp.ones(features.shape[0]) if weights is None else weights.astype(jnp.float32)
    features = jnp.where(weights[:, None] > 0, features, 0.0)
    mean = weights @ features / jnp.maximum(weights.sum(), 1.0)  # an estimate: its rounding does no harm
    shift = jnp.where(moments.sums.weight > 0, moments.shift, mean)
    chunks = -(-features.shape[0] // SAMPLES_PER_PRODUCT)
    missing = chunks * SAMPLES_PER_PRODUCT - features.shape[0]
    features = jnp.pad(features, ((0, missing), (0, 0))).reshape(chunks, SAMPLES_PER_PRODUCT, features.shape[1])
    weights = jnp.pad(weights, (0, missing)).reshape(chunks, SAMPLES_PER_PRODUCT)

    def add_chunk(totals: tuple[Sums, Sums], chunk: tuple[jax.Array, jax.Array]) -> tuple[tuple[Sums, Sums], None]:
        sums, lost = totals
        chunk_features, chunk_weights = chunk
        centred = chunk_features - shift
        weighted = chunk_weights[:, None] * centred
        second = jnp.matmul(weighted.T, centred, precision=lax.Precision.HIGHEST)
        added = Sums(chunk_weights.sum(), weighted.sum(0), second)
        lost = jax.tree.map(lambda lost, a, b: lost + _rounding_error(a, b), lost, sums, added)
        return (jax.tree.map(jnp.add, sums, added), lost), None

    (sums, lost), _ = lax.scan(add_chunk, (moments.sums, moments.lost), (features, weights))
    return Moments(shift, sums, lost)


def _rounding_error(a: jax.Array, b: jax.Array) -> jax.Array:
    """The exact difference between a + b and its rounded value."""
    total = a + b
    from_b = total - a
    return (a - (total - from_b)) + (b - from_b)


def moments_of(features: np.ndarray) -> Moments:
    """The moments of an array of features [N, F].

    Raises:
      UserError: not an array of that kind.
    """
    (features,) = check_features(given=features)
    moments = empty_moments(features.shape[1])
    for start in range(0, len(features), BLOCK_SIZE):
        block = features[start : start + BLOCK_SIZE]
        filled = np.pad(block, ((0, BLOCK_SIZE - len(block)), (0, 0)))  # one compiled program, whatever N is
        moments = add_features(moments, filled, (np.arange(BLOCK_SIZE) < len(block)).astype(np.float32))
    return moments


def num_samples(moments: Moments) -> float:
    """The number of samples N that were added: the sum of their weights."""
    return float(moments.sums.weight) + float(moments.lost.weight)


def mean_and_covariance(moments: Moments) -> tuple[np.ndarray, np.ndarray]:
    """-> (mean [F], covariance [F, F]) in float64; the covariance with N - 1.

    Raises:
      UserError: fewer than two samples, or features that were not finite.
    """
    count = num_samples(moments)
    if count < 2:
        raise UserError(f"A covariance needs at least 2 samples, and there are {count:g}: give more.")
    high, low = jax.tree.map(lambda x: np.asarray(x, np.float64), (moments.sums, moments.lost))
    first, second = high.first + low.first, high.second + low.second
    covariance = (second - np.outer(first, first) / count) / (count - 1)
    if not np.isfinite(covariance).all():
        raise UserError("Some features are not finite (or too large for float32): look for broken samples.")
    mean = np.asarray(moments.shift, np.float64) + first / count
    return mean, (covariance + covariance.T) / 2  # the two halves differ by float32's rounding
