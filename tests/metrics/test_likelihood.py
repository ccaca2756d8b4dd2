"""Bounds against a linear-Gaussian model, whose likelihood and posterior are known; divergences against integrals.

The model: z ~ N(0, I), x | z ~ N(W z + b, s^2 I). Then x ~ N(b, W W' + s^2 I), and z | x ~ N(m(x), S) with
S = (I + W'W / s^2)^-1 and m(x) = S W'(x - b) / s^2.
"""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.special
import scipy.stats

from jaxgen.core.errors import UserError
from jaxgen.metrics.likelihood import (
    BIN_WIDTH,
    bits_per_character,
    bits_per_dimension,
    dequantize,
    elbo,
    importance_weighted_bound,
    importance_weighted_log_likelihood,
    kl_between_gaussians,
    kl_to_standard_normal,
    perplexity,
)

RNG = np.random.default_rng(0)
X_SIZE, Z_SIZE, BATCH, NOISE = 6, 3, 12, 0.7
W, B = RNG.normal(size=(X_SIZE, Z_SIZE)), RNG.normal(size=X_SIZE)
X = RNG.normal(size=(BATCH, Z_SIZE)) @ W.T + B + NOISE * RNG.normal(size=(BATCH, X_SIZE))
LOG_LIKELIHOOD = scipy.stats.multivariate_normal(B, W @ W.T + NOISE**2 * np.eye(X_SIZE)).logpdf(X)
POSTERIOR_COVARIANCE = np.linalg.inv(np.eye(Z_SIZE) + W.T @ W / NOISE**2)
POSTERIOR_MEAN = (X - B) @ W @ POSTERIOR_COVARIANCE / NOISE**2
# Wide enough for finite variance of the weights, and beside the posterior, which has correlations that this has not.
WIDE_MEAN, WIDE_COVARIANCE = POSTERIOR_MEAN + 0.2, np.diag(2.0 * np.diag(POSTERIOR_COVARIANCE))


COUNT = 4000


def normal_log_density(values, scale):
    return jnp.sum(jax.scipy.stats.norm.logpdf(values, scale=scale), -1)


def draw(key, x, mean, factor):
    """log p(x, z) - log q(z | x), [B], of x [B, X] and z ~ N(mean [B, Z], factor factor')."""
    noise = jax.random.normal(key, mean.shape)
    z = mean + noise @ factor.T
    log_joint = normal_log_density(z, 1.0) + normal_log_density(x - z @ W.T - B, NOISE)
    return log_joint - (normal_log_density(noise, 1.0) - jnp.sum(jnp.log(jnp.diag(factor))))


def draw_wide(key, x):
    return draw(key, x, WIDE_MEAN, np.linalg.cholesky(WIDE_COVARIANCE))


@jax.jit
def keys_of(key):
    """[K]: those that `importance_weighted_log_likelihood` uses."""
    return jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(COUNT))


@jax.jit
def _log_weights(key, mean, covariance):
    return jax.vmap(draw, (0, None, None, None))(keys_of(key), X, mean, jnp.linalg.cholesky(covariance))


@functools.cache
def exact_log_weights():
    return _log_weights(jax.random.key(0), POSTERIOR_MEAN, POSTERIOR_COVARIANCE)


@functools.cache
def wide_log_weights(seed=1):
    return _log_weights(jax.random.key(seed), WIDE_MEAN, WIDE_COVARIANCE)


# ---------------------------------------------------------------- bounds


def test_exact_posterior_makes_every_weight_the_likelihood():
    weights = exact_log_weights()
    np.testing.assert_allclose(weights, np.broadcast_to(LOG_LIKELIHOOD, weights.shape), atol=2e-5)
    np.testing.assert_allclose(importance_weighted_bound(weights), LOG_LIKELIHOOD, atol=2e-5)
    np.testing.assert_allclose(elbo(weights), LOG_LIKELIHOOD, atol=2e-5)


def test_importance_weighted_bound_reaches_the_likelihood_within_its_standard_error():
    weights = np.asarray(wide_log_weights(), np.float64)
    relative = np.exp(weights - LOG_LIKELIHOOD)  # mean 1
    standard_error = relative.std(0) / np.sqrt(len(weights))
    assert np.all(standard_error < 0.05)  # a test that says something
    assert np.all(np.abs(importance_weighted_bound(wide_log_weights()) - LOG_LIKELIHOOD) < 4 * standard_error)


def test_elbo_is_the_likelihood_less_the_divergence_from_the_posterior():
    precision = np.linalg.inv(POSTERIOR_COVARIANCE)
    shift = WIDE_MEAN - POSTERIOR_MEAN
    divergence = 0.5 * (
        np.trace(precision @ WIDE_COVARIANCE)
        + np.einsum("bi,ij,bj->b", shift, precision, shift)
        - Z_SIZE
        - np.linalg.slogdet(WIDE_COVARIANCE)[1]
        + np.linalg.slogdet(POSTERIOR_COVARIANCE)[1]
    )
    standard_error = np.asarray(wide_log_weights()).std(0) / np.sqrt(len(wide_log_weights()))
    assert np.all(4 * standard_error < 0.2 * divergence)
    assert np.all(np.abs(elbo(wide_log_weights()) - (LOG_LIKELIHOOD - divergence)) < 4 * standard_error)


def test_bound_tightens_with_more_samples():
    gaps, standard_errors = [], []
    for count in (1, 10, 100, 1000):
        bounds = importance_weighted_bound(wide_log_weights().reshape(count, -1))  # of 4000 / count sets of draws
        gap = LOG_LIKELIHOOD - np.asarray(bounds).reshape(-1, BATCH)
        gaps.append(gap.mean())
        standard_errors.append(gap.std() / np.sqrt(gap.size))
    assert gaps[0] > gaps[1] > gaps[2] > gaps[3]  # the same draws in larger sets
    assert gaps[1] > 4 * standard_errors[1]  # a bound from below, not an estimate around the likelihood
    assert abs(gaps[3]) < 4 * standard_errors[3] < 0.05


def test_one_sample_makes_the_bound_the_elbo():
    weights = wide_log_weights()[:1]
    np.testing.assert_array_equal(importance_weighted_bound(weights), elbo(weights))


def test_streaming_equals_the_bound_of_all_weights_at_once():
    found = importance_weighted_log_likelihood(draw_wide, jax.random.key(1), X, COUNT)
    np.testing.assert_allclose(found, importance_weighted_bound(wide_log_weights()), rtol=1e-5)


def test_streaming_takes_no_more_memory_for_more_samples():
    def temporary_bytes(count):
        compute = jax.jit(lambda key, x: importance_weighted_log_likelihood(draw_wide, key, x, count))
        return compute.lower(jax.random.key(0), X).compile().memory_analysis().temp_size_in_bytes

    assert temporary_bytes(5000) == temporary_bytes(10)


def test_streaming_keeps_its_digits_far_from_zero():
    # Where float32 goes in steps of 0.002, a running log-sum-exp is off by 0.08.
    def sample_log_weights(key, x):
        return -20_000.0 + 3.0 * jax.random.normal(key, x.shape)

    key, x = jax.random.key(5), jnp.zeros(4)
    found = importance_weighted_log_likelihood(sample_log_weights, key, x, COUNT)
    weights = np.asarray(jax.jit(jax.vmap(sample_log_weights, (0, None)))(keys_of(key), x), np.float64)
    np.testing.assert_allclose(found, scipy.special.logsumexp(weights, 0) - np.log(COUNT), rtol=0, atol=0.005)


def test_draws_of_weight_zero_count_as_draws():
    def sample_log_weights(key, x):
        return jnp.where(jax.random.bernoulli(key, 0.5, x.shape), x, -jnp.inf)

    def impossible(key, x):
        return jnp.full_like(x, -jnp.inf)

    key, x = jax.random.key(0), jnp.full(3, -7.0)
    found = importance_weighted_log_likelihood(sample_log_weights, key, x, 2000)
    np.testing.assert_allclose(found, -7.0 + np.log(0.5), atol=4 / np.sqrt(2000))
    assert np.all(np.isneginf(importance_weighted_log_likelihood(impossible, key, x, 3)))


def test_no_samples_are_reported():
    with pytest.raises(UserError, match="at least 1 sample, not 0"):
        importance_weighted_log_likelihood(draw_wide, jax.random.key(0), X, 0)


# ---------------------------------------------------------------- divergences


def test_gaussian_divergences_equal_their_integrals():
    rng = np.random.default_rng(1)
    mean, log_variance, other_mean, other_log_variance = rng.normal(size=(4, 3, 2))

    def integral(i, j, other):
        p = scipy.stats.norm(mean[i, j], np.exp(0.5 * log_variance[i, j]))
        q = scipy.stats.norm(*other)
        return scipy.integrate.quad(lambda z: p.pdf(z) * (p.logpdf(z) - q.logpdf(z)), -15, 15, epsabs=1e-9)[0]

    others = np.stack([other_mean, np.exp(0.5 * other_log_variance)], -1)
    between = [sum(integral(i, j, others[i, j]) for j in range(2)) for i in range(3)]
    to_standard = [sum(integral(i, j, (0.0, 1.0)) for j in range(2)) for i in range(3)]
    arguments = [jnp.asarray(a, jnp.float32) for a in (mean, log_variance, other_mean, other_log_variance)]
    np.testing.assert_allclose(kl_between_gaussians(*arguments), between, rtol=1e-5)
    np.testing.assert_allclose(kl_to_standard_normal(*arguments[:2]), to_standard, rtol=1e-5)


def test_divergences_sum_over_all_but_the_first_axis():
    mean, log_variance = jax.random.normal(jax.random.key(0), (2, 5, 4, 4, 2))
    found = kl_to_standard_normal(mean, log_variance)
    chex.assert_shape(found, (5,))
    np.testing.assert_allclose(
        found, kl_to_standard_normal(mean.reshape(5, -1), log_variance.reshape(5, -1)), rtol=1e-5
    )


def test_divergence_of_equal_gaussians_is_zero_and_of_almost_equal_ones_is_not():
    mean, log_variance = jnp.full((1, 1), 3.0), jnp.full((1, 1), 1e-3)
    assert kl_between_gaussians(mean, log_variance, mean, log_variance) == 0.0
    exact = 0.5 * (np.expm1(np.float64(np.float32(1e-3))) - np.float64(np.float32(1e-3)))
    np.testing.assert_allclose(kl_to_standard_normal(0 * mean, log_variance), exact, rtol=1e-3)


# ---------------------------------------------------------------- units


def test_uniform_density_over_256_levels_has_8_bits_per_dimension():
    dimensions = 28 * 28
    over_levels = jnp.full(3, dimensions * np.log(256.0))
    np.testing.assert_allclose(bits_per_dimension(over_levels, dimensions, bin_width=1.0), 8.0, rtol=1e-6)
    over_scaled = jnp.full(3, dimensions * np.log(2.0))  # density 1/2 on [-1, 1]
    np.testing.assert_allclose(bits_per_dimension(over_scaled, dimensions, bin_width=BIN_WIDTH), 8.0, rtol=1e-6)


def test_dequantized_levels_fill_their_bins():
    levels = np.arange(256, dtype=np.uint8).repeat(400).reshape(100, 32, 32)
    values = np.asarray(dequantize(jax.random.key(0), jnp.arange(100), levels), np.float64)
    within = (values + 1.0) / BIN_WIDTH - levels  # the noise
    assert values.min() >= -1.0
    assert values.max() < 1.0
    assert within.min() >= 0.0
    assert within.max() < 1.0
    assert scipy.stats.kstest(within.ravel(), "uniform").pvalue > 0.01


def test_a_density_that_is_flat_in_each_bin_has_the_bits_of_its_levels():
    # log p(y) = log P(level of y) - log(bin width): then dequantization costs nothing.
    rng = np.random.default_rng(2)
    log_probabilities = np.log(rng.dirichlet(np.ones(256)))
    images = rng.integers(0, 256, (5, 8, 8, 1), np.uint8)
    values = np.asarray(dequantize(jax.random.key(3), jnp.arange(5), images))
    log_density = log_probabilities[np.floor((values + 1.0) * 128).astype(int)] - np.log(2 / 256)
    found = bits_per_dimension(-log_density.sum((1, 2, 3)), 64, bin_width=BIN_WIDTH)
    np.testing.assert_allclose(found, -log_probabilities[images].mean((1, 2, 3)) / np.log(2), rtol=1e-6)


def test_dequantization_noise_belongs_to_the_example():
    images = np.zeros((4, 3, 3, 1), np.uint8)
    together = dequantize(jax.random.key(0), jnp.arange(4), images)
    np.testing.assert_array_equal(dequantize(jax.random.key(0), jnp.arange(2, 4), images[2:]), together[2:])
    assert len(np.unique(together)) > 30


def test_only_bytes_can_be_dequantized():
    with pytest.raises(UserError, match="not float32"):
        dequantize(jax.random.key(0), jnp.arange(1), np.zeros((1, 2, 2, 1), np.float32))


@pytest.mark.parametrize("vocabulary", [2, 27, 50_257])
def test_perplexity_of_uniform_guesses_is_the_size_of_the_vocabulary(vocabulary):
    tokens = 1000
    assert perplexity(tokens * np.log(vocabulary), tokens) == pytest.approx(vocabulary, rel=1e-5)


def test_bits_per_character_of_uniform_guesses_is_the_logarithm_of_the_alphabet():
    assert bits_per_character(500 * np.log(32), 500) == pytest.approx(5.0)
