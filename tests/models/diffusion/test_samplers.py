"""Samplers of diffusion: against diffusers on one denoiser, and by the moments of a mixture whose denoiser is exact."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import REFERENCES

from jaxgen.core.errors import UserError
from jaxgen.experiments._diffusion import NOISE_LEVELS, DiffusionOptions
from jaxgen.models.diffusion import samplers
from jaxgen.models.diffusion.noise_levels import (
    cosine_betas,
    flow_times,
    linear_betas,
    lognormal,
    low_discrepancy_uniform,
)
from jaxgen.models.diffusion.samplers import SAMPLERS, check_sampler

REFERENCE = np.load(REFERENCES / "diffusion.npz")  # make_diffusion.py
DEVIATION = 0.3
NAMES = [name for name in REFERENCE.files if f"{name}/levels" in REFERENCE.files]
SAMPLERS_OF = {**SAMPLERS, "ddim_half": functools.partial(samplers.ddim, eta=0.5)}


@pytest.mark.parametrize("name", NAMES)
def test_a_sampler_ends_where_that_of_diffusers_does(name, monkeypatch):
    with jax.enable_x64(True):
        noises = iter(REFERENCE["noise"])
        monkeypatch.setattr(samplers, "example_normal", lambda key, index, shape: jnp.asarray(next(noises)))
        # One step after the other, so that the noise of each is that of the reference.
        monkeypatch.setattr(samplers, "_over_levels", one_after_the_other)
        levels = jnp.asarray(REFERENCE[f"{name}/levels"])
        mean = jnp.asarray(REFERENCE["mean"])

        def denoiser(x, level):
            return (DEVIATION**2 * x + level**2 * mean) / (DEVIATION**2 + level**2)

        sampler = SAMPLERS_OF[name.rsplit("_", 1)[0]]
        end = sampler(denoiser, levels[0] * REFERENCE["start"], levels, jax.random.key(0))
        np.testing.assert_allclose(end, REFERENCE[name], rtol=1e-4, atol=1e-5)


def one_after_the_other(step, start, sigmas):
    for i, (sigma, sigma_next) in enumerate(itertools.pairwise(sigmas)):
        start = step(start, jnp.asarray(i), sigma, sigma_next)
    return start


LEVELS = {"edm": lognormal(), "linear": linear_betas(), "cosine": cosine_betas(), "flow": flow_times()}
MEANS, SPREAD, SHARES = np.array([[-0.8, 0.1], [0.6, -0.3]]), 0.1, np.array([0.3, 0.7])


def mixture_denoiser(x, level):
    """E[y | x] for y from a mixture of two Gaussians in two dimensions."""
    variance = SPREAD**2 + level**2
    distances = jnp.sum(jnp.square(x[:, None] - MEANS), -1)  # [N, 2]
    posterior = jax.nn.softmax(jnp.log(SHARES) - distances / (2 * variance))
    return jnp.sum(posterior[..., None] * (SPREAD**2 * x[:, None] + level**2 * MEANS) / variance, 1)


@pytest.mark.parametrize(
    "levels", [pytest.param(x, id=name, marks=[pytest.mark.slow] * (name != "edm")) for name, x in LEVELS.items()]
)
@pytest.mark.parametrize("name", SAMPLERS)
def test_the_exact_denoiser_of_a_mixture_gives_samples_of_its_moments(name, levels):
    sigmas = jnp.asarray(levels.sigmas(200))
    start = sigmas[0] * jax.random.normal(jax.random.key(0), (4000, 2))
    x = np.asarray(jax.jit(lambda x: SAMPLERS[name](mixture_denoiser, x, sigmas, jax.random.key(1)))(start))
    mean = SHARES @ MEANS
    moved = MEANS - mean
    covariance = SPREAD**2 * np.eye(2) + (SHARES[:, None] * moved).T @ moved
    np.testing.assert_allclose(x.mean(0), mean, atol=0.03)  # 3 standard errors of the mean are 0.03
    np.testing.assert_allclose(np.cov(x.T), covariance, atol=0.03)
    assert np.mean(x[:, 0] > -0.1) == pytest.approx(SHARES[1], abs=0.03)


@pytest.mark.parametrize(("name", "order"), [("euler", 1), ("ddim", 1), ("heun", 2), ("dpm_solver", 2)])
def test_a_solver_converges_by_its_order(name, order):
    with jax.enable_x64(True):
        start = jnp.asarray(np.random.default_rng(0).normal(size=(50, 2)))

        def end(steps):
            levels = jnp.asarray(np.geomspace(1.0, 0.05, steps + 1))
            return SAMPLERS[name](mixture_denoiser, start, levels, None)

        exact = end(2000)
        errors = [np.abs(end(steps) - exact).mean() for steps in (20, 40)]
        assert 2 ** (order - 0.4) < errors[0] / errors[1] < 2 ** (order + 0.7)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sample_does_not_depend_on_how_many_are_drawn(name):
    levels = jnp.asarray(lognormal().sigmas(8))
    start = levels[0] * jax.random.normal(jax.random.key(0), (5, 2))
    sampler = jax.jit(lambda x: SAMPLERS[name](mixture_denoiser, x, levels, jax.random.key(1)))
    np.testing.assert_allclose(sampler(start)[:2], sampler(start[:2]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["euler", "heun"])
def test_up_and_down_again_ends_where_it_began(name):
    levels = jnp.asarray(lognormal().sigmas(200)[:-1])
    images = jnp.asarray(MEANS[[0, 0, 1, 1]] + 0.1 * np.random.default_rng(0).normal(size=(4, 2)), jnp.float32)
    up = SAMPLERS[name](mixture_denoiser, images, levels[::-1], None)
    np.testing.assert_allclose(SAMPLERS[name](mixture_denoiser, up, levels, None), images, atol=0.02)


# ---------------------------------------------------------------- noise levels


def test_the_noise_levels_of_edm_are_those_of_the_paper():
    """Equation 5 with its defaults, at both ends and in the middle; diffusers has the same."""
    levels = lognormal().sigmas(3)
    np.testing.assert_allclose(levels, [80.0, ((80 ** (1 / 7) + 0.002 ** (1 / 7)) / 2) ** 7, 0.002, 0.0], rtol=1e-5)
    np.testing.assert_allclose(lognormal().sigmas(12), REFERENCE["euler_edm/levels"], rtol=1e-5)


@pytest.mark.parametrize(("name", "levels"), [("linear", linear_betas()), ("cosine", cosine_betas())])
def test_noise_levels_of_betas_are_those_of_diffusers(name, levels):
    np.testing.assert_allclose(levels.sigmas(12), REFERENCE[f"ancestral_{name}/levels"], rtol=5e-4)  # float32 there


def test_all_levels_of_the_betas_are_trained_on_equally_often():
    levels = linear_betas(steps=7)
    drawn = levels.icdf((jnp.arange(700) + 0.5) / 700)
    values, counts = np.unique(drawn, return_counts=True)
    np.testing.assert_allclose(values[::-1], levels.sigmas(7)[:-1], rtol=1e-5)
    np.testing.assert_array_equal(counts, 100)


def test_training_levels_of_edm_are_lognormal():
    logs = np.log(lognormal(-1.2, 1.3).icdf((jnp.arange(10_000) + 0.5) / 10_000))
    assert (logs.mean(), logs.std()) == (pytest.approx(-1.2, abs=1e-3), pytest.approx(1.3, abs=2e-3))


def test_the_options_of_an_experiment_are_those_of_its_levels():
    options = DiffusionOptions(level_mean=0.5, level_deviation=0.3)
    logs = np.log(NOISE_LEVELS[options.noise_levels](options).icdf((jnp.arange(10_000) + 0.5) / 10_000))
    assert (logs.mean(), logs.std()) == (pytest.approx(0.5, abs=1e-3), pytest.approx(0.3, abs=2e-3))


def test_times_of_a_flow_are_even_or_logit_normal():
    u = (jnp.arange(1000) + 0.5) / 1000
    sigma = flow_times(last=0.9).icdf(u)
    np.testing.assert_allclose(sigma / (1 + sigma), 0.9 * u, rtol=1e-5)
    np.testing.assert_allclose(np.log(flow_times(logit_normal=True).icdf(u)).std(), 1.0, atol=0.01)


def test_low_discrepancy_numbers_are_uniform_and_each_belongs_to_its_example():
    index = jnp.arange(64, dtype=jnp.uint32)
    drawn = np.sort(low_discrepancy_uniform(jax.random.key(0), index))
    assert np.abs(np.diff(drawn) - 1 / 64).max() < 1 / 64  # independent draws would leave some next to each other
    np.testing.assert_array_equal(
        low_discrepancy_uniform(jax.random.key(0), index)[5:9], low_discrepancy_uniform(jax.random.key(0), index[5:9])
    )
    first = [float(low_discrepancy_uniform(jax.random.key(seed), index[:1])[0]) for seed in range(300)]
    assert np.mean(first) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(("name", "steps", "words"), [("x", 3, "not among ancestral, ddim"), ("heun", 0, "at least 1")])
def test_an_unknown_sampler_and_no_steps_are_refused(name, steps, words):
    with pytest.raises(UserError, match=words):
        check_sampler(name, steps)
