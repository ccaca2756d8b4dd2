"""The likelihoods against scipy's distributions, sums over all levels, and draws."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from jaxgen.models.likelihoods import bernoulli, discretized_logistic, gaussian

KEY = jax.random.key(2)
LEVELS = np.arange(256) / 127.5 - 1
LIKELIHOODS = {"bernoulli": bernoulli(), "gaussian": gaussian(), "discretised_logistic": discretized_logistic()}
every_likelihood = pytest.mark.parametrize("likelihood", LIKELIHOODS.values(), ids=LIKELIHOODS)


def random_images(seed=0, shape=(5, 4, 4, 3)):
    return np.random.default_rng(seed).integers(0, 256, shape) / 127.5 - 1


def random_parameters(count, seed=1, shape=(5, 4, 4, 3), scale=2.0):
    """`count` parameters, and all of them as a decoder would give them."""
    rng = np.random.default_rng(seed)
    parts = [rng.normal(0, scale, shape) for _ in range(count)]
    return parts, jnp.asarray(np.concatenate(parts, -1), jnp.float32)


def total(values):
    return values.sum((1, 2, 3))


def test_bernoulli_is_scipys():
    images = np.where(random_images() > 0, 1.0, -1.0)
    (logits,), parameters = random_parameters(1, scale=5.0)
    expected = total(scipy.stats.bernoulli(1 / (1 + np.exp(-logits))).logpmf((images + 1) / 2))
    actual = bernoulli().log_prob(parameters, jnp.asarray(images, jnp.float32))
    np.testing.assert_allclose(actual, expected, rtol=2e-6)


def test_bernoulli_is_finite_for_logits_of_any_size():
    parameters = jnp.array([300.0, -300.0, 300.0, -300.0]).reshape(1, 1, 1, 4)
    images = jnp.array([1.0, 1.0, -1.0, -1.0]).reshape(1, 1, 1, 4)
    assert float(bernoulli().log_prob(parameters, images)[0]) == -600.0


def test_bernoulli_draws_gray_values_anew_with_their_own_probability():
    images = jnp.broadcast_to(jnp.asarray(LEVELS, jnp.float32), (4_000, 1, 1, 256))
    index = jnp.arange(4_000, dtype=jnp.uint32)
    drawn, again = (np.asarray(bernoulli().targets(jax.random.key(k), index, images)) for k in (0, 1))
    assert set(np.unique(drawn)) == {-1.0, 1.0}
    assert not np.array_equal(drawn, again)
    expected = np.arange(256) / 255
    z = (np.mean(drawn == 1, 0).ravel() - expected)[1:255] / np.sqrt(expected * (1 - expected) / 4_000)[1:255]
    assert np.abs(z).max() < 4.5
    assert np.abs(z.mean()) < 4 / np.sqrt(254)
    assert np.all(drawn[..., 0] == -1)
    assert np.all(drawn[..., 255] == 1)


def test_targets_leave_binary_images_as_they_are():
    images = jnp.asarray(np.where(random_images() > 0, 1.0, -1.0), jnp.float32)
    np.testing.assert_array_equal(bernoulli().targets(KEY, jnp.arange(5, dtype=jnp.uint32), images), images)


def test_what_is_drawn_of_an_image_does_not_depend_on_its_place_in_the_batch():
    images, index = jnp.asarray(random_images(), jnp.float32), jnp.arange(5, dtype=jnp.uint32)
    whole = bernoulli().targets(KEY, index, images)
    np.testing.assert_array_equal(bernoulli().targets(KEY, index[2:], images[2:]), whole[2:])


def test_gaussian_is_scipys_above_its_floor():
    (mean, raw), parameters = random_parameters(2)
    images = random_images()
    floor = -6.0
    log_variance = floor + np.logaddexp(0, raw - floor)
    expected = total(scipy.stats.norm(mean, np.exp(log_variance / 2)).logpdf(images))
    actual = gaussian(floor).log_prob(parameters, jnp.asarray(images, jnp.float32))
    np.testing.assert_allclose(actual, expected, rtol=2e-6)


def test_gaussian_density_is_bounded_by_its_floor():
    images = jnp.zeros((1, 1, 1, 1))
    densities = [
        float(gaussian(-6.0).log_prob(jnp.array([0.0, raw]).reshape(1, 1, 1, 2), images)[0]) for raw in (-20, -1e6)
    ]
    assert densities == pytest.approx([scipy.stats.norm(0, np.exp(-3)).logpdf(0)] * 2, rel=1e-5)


def test_discretized_logistic_is_a_difference_of_scipys():
    (mean, log_scale), parameters = random_parameters(2, scale=1.0)
    images = random_images()
    logistic = scipy.stats.logistic(mean, np.exp(log_scale))
    upper = np.where(images > 1 - 1 / 255, 1.0, logistic.cdf(images + 1 / 255))
    lower = np.where(images < -1 + 1 / 255, 0.0, logistic.cdf(images - 1 / 255))
    actual = discretized_logistic().log_prob(parameters, jnp.asarray(images, jnp.float32))
    np.testing.assert_allclose(actual, total(np.log(upper - lower)), rtol=2e-6)


@pytest.mark.parametrize(("mean", "log_scale"), [(0.1, -3.0), (-1.5, 0.0), (0.98, -5.0), (3.0, 1.0), (0.3, -30.0)])
def test_discretized_logistic_sums_to_1_over_256_levels(mean, log_scale):
    parameters = jnp.broadcast_to(jnp.array([mean, log_scale]), (256, 1, 1, 2))
    log_probs = discretized_logistic().log_prob(parameters, jnp.asarray(LEVELS, jnp.float32).reshape(256, 1, 1, 1))
    assert float(jnp.sum(jnp.exp(log_probs))) == pytest.approx(1.0, abs=2e-5)


def test_discretized_logistic_has_finite_slopes_far_away_from_its_mean():
    def log_prob(parameters):
        return jnp.sum(discretized_logistic().log_prob(parameters, jnp.full((1, 1, 1, 1), -1.0 + 2 / 255)))

    for mean, log_scale in ((50.0, -7.0), (-50.0, -20.0), (0.0, 15.0)):
        parameters = jnp.array([mean, log_scale]).reshape(1, 1, 1, 2)
        assert np.isfinite(log_prob(parameters))
        chex.assert_tree_all_finite(jax.grad(log_prob)(parameters))


@every_likelihood
def test_draws_follow_the_probabilities(likelihood):
    count = likelihood.parameters_per_channel
    values = [[0.8], [-0.6]] if count == 1 else [[0.1, -2.5], [-0.9, -1.5]]
    for row in values:
        parameters = jnp.broadcast_to(jnp.array(row), (1, 1, 1, count))
        draws = np.asarray(likelihood.draw(jax.random.split(KEY, 20_000), jnp.tile(parameters, (20_000, 1, 1, 1))))
        assert np.abs(draws).max() <= 1
        if likelihood is LIKELIHOODS["gaussian"]:
            sd = np.exp(0.5 * (-6 + np.logaddexp(0, row[1] + 6)))
            expected = scipy.stats.norm(row[0], sd).cdf([-0.95, -0.5, 0.0, 0.3])
            actual = [np.mean(draws <= x) for x in (-0.95, -0.5, 0.0, 0.3)]
        else:
            levels = np.array([-1.0, 1.0]) if count == 1 else LEVELS
            images = jnp.asarray(levels, jnp.float32).reshape(-1, 1, 1, 1)
            log_probs = likelihood.log_prob(jnp.tile(parameters, (len(levels), 1, 1, 1)), images)
            expected = np.exp(np.asarray(log_probs)).cumsum()
            actual = np.array([np.mean(draws < level + 1e-3) for level in levels])
        np.testing.assert_allclose(actual, expected, atol=4.5 * 0.5 / np.sqrt(20_000))


@every_likelihood
def test_means_are_images_where_the_draws_lie(likelihood):
    _, parameters = random_parameters(likelihood.parameters_per_channel, scale=3.0)
    means = likelihood.mean(parameters)
    chex.assert_shape(means, (5, 4, 4, 3))
    assert float(jnp.abs(means).max()) <= 1.0
    narrow = jnp.concatenate([parameters[..., :3] * 0.1, jnp.full((5, 4, 4, parameters.shape[-1] - 3), -3.0)], -1)
    draws = np.mean([likelihood.draw(jax.random.split(jax.random.key(k), 5), narrow) for k in range(400)], 0)
    np.testing.assert_allclose(likelihood.mean(narrow), draws, atol=0.25)
    assert np.abs(np.mean(likelihood.mean(narrow) - draws)) < 0.01


def test_only_levels_are_counted_in_bits():
    assert [likelihood.levels for likelihood in LIKELIHOODS.values()] == [None, None, 256]
