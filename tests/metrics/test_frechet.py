"""The Frechet distance against pytorch-fid, closed forms and simulated bias."""

import json
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
from references import make_sample_metrics

from jaxgen.core.errors import UserError
from jaxgen.metrics.frechet import _trace_of_root, frechet_bias, frechet_distance, frechet_distance_of_moments
from jaxgen.metrics.moments import moments_of

REFERENCE = json.loads(Path(make_sample_metrics.__file__).with_name("sample_metrics.json").read_text("utf-8"))
CASES = make_sample_metrics.feature_cases()


def gaussian(mean, covariance, *, count=400, seed=0):
    """Samples whose own mean and covariance (with N - 1) are exactly these."""
    z = np.random.default_rng(seed).normal(size=(count, len(mean)))
    z -= z.mean(0)
    z = z @ np.linalg.inv(np.linalg.cholesky(np.cov(z, rowvar=False))).T
    return z @ np.linalg.cholesky(np.asarray(covariance, float)).T + np.asarray(mean, float)


@pytest.mark.parametrize("name", CASES)
def test_distance_equals_that_of_pytorch_fid(name):
    assert frechet_distance(*CASES[name]) == pytest.approx(REFERENCE[name]["frechet_distance"], rel=1e-4)


def test_moments_give_the_same_distance_as_features():
    real, generated = CASES["narrow"]
    assert frechet_distance_of_moments(moments_of(real), moments_of(generated)) == frechet_distance(real, generated)


def test_two_gaussians_that_share_their_axes_have_the_known_distance():
    a = gaussian([0, 0, 1], np.diag([1.0, 4.0, 9.0]))
    b = gaussian([1, 0, -1], np.diag([4.0, 4.0, 0.25]), seed=1)
    assert frechet_distance(a, b) == pytest.approx((1 + 4) + (1 - 2) ** 2 + (3 - 0.5) ** 2, rel=1e-5)


def test_two_gaussians_with_other_axes_have_the_known_distance():
    a, b = np.array([[2.0, 0.8], [0.8, 1.0]]), np.array([[1.0, -0.5], [-0.5, 3.0]])
    # Tr(M^(1/2)) = (Tr M + 2 det(M)^(1/2))^(1/2) of a 2 x 2 matrix
    trace_of_root = np.sqrt(np.trace(a @ b) + 2 * np.sqrt(np.linalg.det(a @ b)))
    expected = np.trace(a) + np.trace(b) - 2 * trace_of_root
    assert frechet_distance(gaussian([5, 5], a), gaussian([5, 5], b, seed=1)) == pytest.approx(expected, rel=1e-5)


def test_a_set_has_no_distance_to_itself():
    real = CASES["far"][0]
    assert 0.0 <= frechet_distance(real, real) < 1e-6


def test_a_feature_that_never_changes_adds_nothing():
    def with_dead(features):
        return np.concatenate([features, np.zeros((len(features), 1), np.float32)], axis=1)

    real, generated = CASES["narrow"]
    dead = frechet_distance(with_dead(real), with_dead(generated))
    assert dead == pytest.approx(frechet_distance(real, generated), rel=1e-6)


def test_the_trace_of_the_root_is_that_of_scipy_s_matrix_root():
    random = np.random.default_rng(0)
    a, b = (np.cov(random.normal(size=(200, 30)) @ random.normal(size=(30, 30)), rowvar=False) for _ in range(2))
    assert _trace_of_root(a, b) == pytest.approx(np.trace(scipy.linalg.sqrtm(a @ b).real), rel=1e-9)
    a[:, -1] = a[-1] = 0.0  # singular; that feature has no part in the product's other eigenvalues
    expected = np.trace(scipy.linalg.sqrtm(a[:-1, :-1] @ b[:-1, :-1]).real)
    assert _trace_of_root(a, b) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("count", "low", "high"), [(1000, 0.9, 1.1), (70, 0.6, 1.0)])
def test_bias_is_about_the_distance_of_two_sets_of_one_distribution(count, low, high):
    scales = np.sqrt(1 / np.arange(1, 65))
    real, generated = (np.random.default_rng(seed).normal(size=(count, 64)) * scales for seed in (0, 1))
    expected = frechet_bias(np.cov(real, rowvar=False), count, count)
    assert low < expected / frechet_distance(real, generated) < high


def test_too_few_samples_are_refused_with_the_bias_and_a_way_out():
    real, generated = CASES["alike"]
    assert frechet_distance(real, generated[:65]) > frechet_distance(real, generated)
    with pytest.raises(UserError, match=r"700 real and 64 generated .* fewer than 65 .* singular .* upwards, here by"):
        frechet_distance(real, generated[:64])
    with pytest.raises(UserError, match="KID"):
        frechet_distance(real[:10], generated)


def test_unequal_or_broken_features_are_refused():
    real, generated = CASES["alike"]
    with pytest.raises(UserError, match=r"64 \(real\) and 3 \(generated\)"):
        frechet_distance(real, generated[:, :3])
    with pytest.raises(UserError, match="64 features and the generated ones 3"):
        frechet_distance_of_moments(moments_of(real), moments_of(generated[:, :3]))
    with pytest.raises(UserError, match="generated features hold values that are not finite"):
        frechet_distance(real, np.where(generated > 2, np.nan, generated))
