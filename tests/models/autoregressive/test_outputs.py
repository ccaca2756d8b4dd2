"""Distributions of a token: what adds up to 1, what is drawn, and which token is the likeliest."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import logistic

from jaxgen.data.mu_law import mu_law_decode
from jaxgen.models.autoregressive.decoding import SamplingParams
from jaxgen.models.autoregressive.outputs import mixture_in_amplitudes, mixture_of_logistics, softmax
from jaxgen.models.likelihoods import discretized_logistic

KEY = jax.random.key(0)


def parameters_of(rows, components, spread=1.0):
    return spread * jax.random.normal(KEY, (rows, 3 * components))


@pytest.mark.parametrize("spread", [1.0, 5.0, 30.0])
@pytest.mark.parametrize("levels", [5, 256])
@pytest.mark.parametrize("mixture", [mixture_of_logistics, mixture_in_amplitudes])
def test_the_masses_of_all_levels_add_up_to_1(mixture, levels, spread):
    output = mixture(4, levels)
    masses = jnp.exp(output.log_prob(parameters_of(6, 4, spread)[:, None], jnp.arange(levels)))
    np.testing.assert_allclose(jnp.sum(masses, -1), 1.0, atol=1e-4)


def test_one_component_is_the_discretized_logistic_of_images():
    """Whose mean is the offset of the one place in the middle, 0."""
    parameters, levels = parameters_of(7, 1), jnp.arange(7) * 40
    found = mixture_of_logistics(1).log_prob(parameters, levels)
    images = (levels / 127.5 - 1.0).reshape(7, 1, 1, 1)
    expected = discretized_logistic().log_prob(parameters[:, 1:].reshape(7, 1, 1, 2), images)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_a_mixture_is_the_weighted_mean_of_its_components():
    logits, offsets, log_scales = np.split(np.asarray(parameters_of(1, 2)[0]), 3)
    means, scales = offsets + np.asarray([-0.5, 0.5]), np.exp(log_scales) / 2
    edges = np.concatenate([[-np.inf], 2 * (np.arange(255) + 0.5) / 255 - 1, [np.inf]])
    below = 1 / (1 + np.exp(-(edges[:, None] - means) / scales))  # [257, 2]
    expected = np.diff(below, axis=0) @ (np.exp(logits) / np.exp(logits).sum())
    found = jnp.exp(mixture_of_logistics(2).log_prob(parameters_of(1, 2), jnp.arange(256)))
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-7)


def test_a_mixture_in_amplitudes_is_that_of_scipy_between_the_levels_of_mu_law():
    logits, means, log_scales = np.asarray([[0.3, -0.5], [-0.01, 0.2], [-6.0, -2.0]])
    edges = mu_law_decode(np.arange(257) - 0.5).astype(np.float64)
    edges[0], edges[-1] = -np.inf, np.inf
    below = logistic.cdf(edges[:, None], means, np.exp(log_scales))
    masses = np.diff(below, axis=0) @ (np.exp(logits) / np.exp(logits).sum())
    parameters = jnp.asarray(np.concatenate([logits, means, log_scales]), jnp.float32)
    found = jnp.exp(mixture_in_amplitudes(2, uniform=0.01).log_prob(parameters, jnp.arange(256)))
    np.testing.assert_allclose(found, 0.99 * masses + 0.01 / 256, rtol=2e-4)


@pytest.mark.parametrize(
    ("output", "temperature"),
    [
        pytest.param(mixture_of_logistics(3, 16), 1.0, marks=pytest.mark.slow),
        (mixture_of_logistics(3, 16), 0.5),
        (mixture_in_amplitudes(3, 16), 1.0),
    ],
)
def test_levels_are_drawn_as_often_as_their_mass_says(output, temperature):
    count = 20_000
    parameters = parameters_of(1, 3)
    draw = jax.jit(lambda keys: output.draw(parameters.repeat(count, 0), keys, SamplingParams(temperature)))
    drawn = draw(jax.random.split(jax.random.key(1), count))
    expected = np.exp(np.asarray(output.log_prob(parameters, jnp.arange(16)), np.float64) / temperature)
    shares = np.bincount(np.asarray(drawn), minlength=16) / count
    np.testing.assert_allclose(shares, expected / expected.sum(), atol=0.012)


@pytest.mark.parametrize(
    ("output", "log_scale"),
    [(softmax(), None), (mixture_of_logistics(3), -2.0), (mixture_in_amplitudes(3), -9.0)],
    ids=["softmax", "mixture", "mixture in amplitudes"],
)
def test_the_likeliest_token_has_the_highest_probability(output, log_scale):
    parameters = jax.random.normal(KEY, (50, output.num_parameters or 256))
    if output.num_parameters:
        # Components of one scale that lie apart, one of which is by far the heaviest.
        parameters = (parameters * jnp.repeat(jnp.asarray([10.0, 0.05, 0.0]), 3)).at[:, 6:].set(log_scale)
    log_probs = output.log_prob(parameters[:, None].repeat(256, 1), jnp.tile(jnp.arange(256), (50, 1)))
    np.testing.assert_array_equal(output.likeliest(parameters), jnp.argmax(log_probs, -1))


@pytest.mark.parametrize(("output", "bounded"), [(mixture_of_logistics(2), False), (mixture_in_amplitudes(2), True)])
def test_the_gradient_is_finite_far_from_all_components(output, bounded):
    """And, but for a share of the uniform distribution, not 0."""
    parameters = jnp.asarray([[0.0, 0.0, -0.5, 0.0, -20.0, -20.0]])
    gradient = jax.grad(lambda p: jnp.sum(output.log_prob(p, jnp.asarray([250]))))(parameters)
    chex.assert_tree_all_finite(gradient)
    assert bounded or np.abs(gradient).max() > 0


def test_a_surprise_costs_no_more_than_its_share_of_the_uniform_distribution():
    parameters = jnp.asarray([[0.0, 0.0, -20.0]])
    cost = -mixture_in_amplitudes(1).log_prob(parameters, jnp.asarray([255]))
    assert float(cost[0]) == pytest.approx(np.log(256 / 1e-5), rel=1e-6)
