"""Means and covariances in one pass against NumPy's in float64."""

import numpy as np
import pytest

from jaxgen.core.errors import UserError
from jaxgen.metrics.moments import add_features, empty_moments, mean_and_covariance, moments_of


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


@pytest.mark.parametrize("batch_size", [1, 250, 20_000])
def test_moments_in_batches_are_those_of_numpy(batch_size):
    features = samples(20_000, 8)
    features[:250] -= 10.0  # a first batch ten times the spread of the others away from them
    moments = add_in_batches(features, batch_size)
    mean, covariance = mean_and_covariance(moments)
    assert moments.count == 20_000
    assert covariance_error(covariance, features) < 1e-12
    np.testing.assert_allclose(mean, features.mean(0, dtype=np.float64), rtol=1e-13)
    np.testing.assert_array_equal(covariance, covariance.T)


def test_an_array_of_any_length_gives_its_moments():
    features = samples(5001, 3)
    moments = moments_of(features)
    assert moments.count == 5001
    assert covariance_error(mean_and_covariance(moments)[1], features) < 1e-12


def test_too_little_or_broken_input_is_refused():
    with pytest.raises(UserError, match="at least 2 samples, and there are 1"):
        mean_and_covariance(add_features(empty_moments(1), np.ones((1, 1))))
    with pytest.raises(UserError, match="not finite"):
        add_features(empty_moments(1), np.array([[np.inf], [1.0], [2.0]]))
    with pytest.raises(UserError, match=r"shape \[4\]: give \[N, F\]"):
        moments_of(np.ones(4))
