"""Means and covariances in one pass against NumPy's in float64."""

import numpy as np
import pytest

from jaxgen.errors import UserError
from jaxgen.metrics.moments import add_features, empty_moments, mean_and_covariance, moments_of, num_samples


def samples(count, num_features, *, mean=100.0):
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(num_features, num_features)) / np.sqrt(num_features)
    return (mean + rng.normal(size=(count, num_features)) @ mix).astype(np.float32)


def covariance_error(covariance, features):
    """Largest error beside the spread of the two features."""
    true = np.cov(features.astype(np.float64), rowvar=False)
    spread = np.sqrt(np.diag(true))
    return np.max(np.abs(covariance - true) / np.outer(spread, spread))


def add_in_batches(features, batch_size):
    moments = empty_moments(features.shape[1])
    for start in range(0, len(features), batch_size):
        moments = add_features(moments, features[start : start + batch_size])
    return moments


@pytest.mark.parametrize("batch_size", [250, 50_000])
def test_covariance_far_from_zero_is_as_exact_as_in_float64(batch_size):
    features = samples(50_000, 8)
    mean, covariance = mean_and_covariance(add_in_batches(features, batch_size))
    assert covariance_error(covariance, features) < 1e-6
    np.testing.assert_allclose(mean, features.mean(0, dtype=np.float64), rtol=1e-9)


def test_plain_float32_sums_would_not_do():
    features = samples(50_000, 8)
    first, second = np.zeros(8, np.float32), np.zeros((8, 8), np.float32)
    for start in range(0, 50_000, 250):
        block = features[start : start + 250]
        first, second = first + block.sum(0), second + block.T @ block
    covariance = (second.astype(np.float64) - np.outer(first, first) / 50_000) / 49_999
    assert covariance_error(covariance, features) > 1e-3


def test_a_first_batch_far_from_the_others_costs_few_digits():
    features = samples(20_000, 8)
    features[:250] -= 10.0  # ten times the spread of the others
    _, covariance = mean_and_covariance(add_in_batches(features, 250))
    assert covariance_error(covariance, features) < 1e-5


def test_samples_without_weight_change_nothing():
    features = samples(450, 8)
    filled = np.concatenate([features[250:], np.full((50, 8), np.nan, np.float32)])
    moments = add_features(empty_moments(8), np.full((250, 8), 7.0, np.float32), np.zeros(250))
    moments = add_features(moments, features[:250], np.ones(250))
    moments = add_features(moments, filled, np.repeat([1.0, 0.0], [200, 50]))
    mean, covariance = mean_and_covariance(moments)
    assert num_samples(moments) == 450
    assert covariance_error(covariance, features) < 1e-6
    np.testing.assert_allclose(mean, features.mean(0, dtype=np.float64), rtol=1e-9)


def test_counts_beyond_the_whole_numbers_of_float32_are_exact():
    moments = add_features(empty_moments(1), np.ones((1, 1)), np.array([2.0**24]))
    for _ in range(5):
        moments = add_features(moments, np.ones((1, 1)), np.ones(1))
    assert num_samples(moments) == 2**24 + 5


def test_an_array_of_any_length_gives_its_moments():
    features = samples(5001, 3)
    moments = moments_of(features)
    assert num_samples(moments) == 5001
    assert covariance_error(mean_and_covariance(moments)[1], features) < 1e-6


def test_too_little_or_broken_input_is_refused():
    with pytest.raises(UserError, match="at least 2 samples, and there are 1"):
        mean_and_covariance(add_features(empty_moments(1), np.ones((1, 1)), np.ones(1)))
    with pytest.raises(UserError, match="not finite"):
        mean_and_covariance(add_features(empty_moments(1), np.full((1, 1), np.inf), np.full(1, 4.0)))
    with pytest.raises(UserError, match=r"shape \[4\]: give \[N, F\]"):
        moments_of(np.ones(4))
