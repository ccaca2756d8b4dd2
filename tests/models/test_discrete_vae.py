"""The discrete VAE: its relaxation and its divergence against probability theory, its bound by hand."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.integrate
import scipy.stats
from tiny import tiny_discrete_vae, tiny_images

from jaxgen.core.keys import example_keys
from jaxgen.data import example_batch
from jaxgen.models.discrete_vae import DiscreteVAE, cosine_between, drawn_codes, kl_to_uniform, relaxed_codes
from jaxgen.models.likelihoods import logit_laplace, scaled_squared_error

LOGITS = jnp.array([1.0, -0.5, 0.3, 2.0, -2.0])
KEY = jax.random.key(0)


def many(count, key=KEY):
    return jnp.broadcast_to(LOGITS, (count, 5)), example_keys(key, jnp.arange(count, dtype=jnp.uint32))


@pytest.mark.parametrize("temperature", [0.05, 1.0])
def test_codes_have_the_frequencies_of_the_categorical_distribution(temperature):
    logits, keys = many(20_000)
    largest = np.argmax(relaxed_codes(logits, keys, temperature), -1)
    counts, expected = np.bincount(largest, minlength=5), 20_000 * jax.nn.softmax(LOGITS)
    assert scipy.stats.chisquare(counts, expected * counts.sum() / np.sum(expected)).pvalue > 1e-3
    np.testing.assert_array_equal(np.argmax(drawn_codes(logits, keys), -1), largest)


def test_relaxed_codes_become_one_hot_as_the_temperature_falls():
    logits, keys = many(200)
    np.testing.assert_allclose(jnp.sum(relaxed_codes(logits, keys, 0.7), -1), 1.0, rtol=1e-5)
    difference = jnp.abs(relaxed_codes(logits, keys, 1e-4) - drawn_codes(logits, keys))
    assert float(jnp.mean(difference)) < 1e-2  # of nearly equal ones both are left


def test_the_gradient_at_a_low_temperature_is_that_of_the_expectation():
    """d/dl_j sum_k a_k p_k = p_j (a_j - sum_k a_k p_k), of p = softmax(l)."""
    values = jnp.array([0.5, -1.0, 2.0, 0.1, 1.5])
    _, keys = many(100_000)

    def mean_value(logits):
        return jnp.mean(relaxed_codes(jnp.broadcast_to(logits, (len(keys), 5)), keys, 0.1) @ values)

    shares = jax.nn.softmax(LOGITS)
    expected = shares * (values - jnp.sum(shares * values))
    np.testing.assert_allclose(jax.jit(jax.grad(mean_value))(LOGITS), expected, atol=0.02)


def test_the_divergence_from_the_uniform_distribution_agrees_with_scipy():
    logits = jax.random.normal(KEY, (3, 2, 4, 7))
    expected = scipy.stats.entropy(jax.nn.softmax(logits), np.full(7, 1 / 7), axis=-1).sum((1, 2))
    np.testing.assert_allclose(kl_to_uniform(logits), expected, rtol=1e-5)
    assert float(kl_to_uniform(jnp.zeros((1, 2, 2, 7)))[0]) == pytest.approx(0.0, abs=1e-5)


def test_schedules_go_along_half_a_cosine_and_then_stay():
    values = [float(cosine_between(1.0, 0.2, 10)(step)) for step in (0, 5, 10, 50)]
    np.testing.assert_allclose(values, [1.0, 0.6, 0.2, 0.2], rtol=1e-6)


class Fixed(nn.Module):
    """Logits, or parameters, that are the pixels' own products with a kernel."""

    features: int

    @nn.compact
    def __call__(self, x, *, train):
        return nn.Dense(self.features)(x)


def test_the_loss_is_the_bound_with_its_weight_over_the_numbers_of_an_image():
    likelihood = scaled_squared_error(0.5)
    model = DiscreteVAE(
        Fixed(4),
        Fixed(1),
        likelihood=likelihood,
        num_codes=4,
        code_size=3,
        grid_shape=(8, 8),
        optimizer=optax.sgd(0.0),
        temperature=lambda step: jnp.asarray(0.3),
        kl_weight=lambda step: jnp.asarray(2.5),
    ).model()
    batch = example_batch(tiny_images(), 4)
    state = jax.jit(model.init)(KEY, batch)
    params = state.params["discrete_vae"]
    logits = Fixed(4).apply({"params": params["encoder"]}, batch["image"], train=False)
    _, code_key = jax.random.split(jax.random.key(5))
    for step, codes in ((model.eval_step, drawn_codes), (model.train_step, relaxed_codes)):
        keys = example_keys(code_key, batch["index"])
        drawn = codes(logits, keys) if codes is drawn_codes else codes(logits, keys, 0.3)
        parameters = Fixed(1).apply({"params": params["decoder"]}, drawn @ params["codes"], train=False)
        log_prob, kl = likelihood.log_prob(parameters, batch["image"]), kl_to_uniform(logits)
        result = jax.jit(step)(state, batch, jax.random.key(5))
        metrics = result if isinstance(result, dict) else result[1]
        assert float(metrics["discrete_vae/loss"][0]) == pytest.approx(
            float(jnp.sum(2.5 * kl - log_prob)) / 64, rel=1e-4
        )
        assert float(metrics["discrete_vae/elbo"][0]) == pytest.approx(float(jnp.sum(log_prob - kl)), rel=1e-4)


@pytest.mark.slow
def test_codes_go_to_images_and_back_and_are_the_likeliest():
    model, batch = tiny_discrete_vae(), example_batch(tiny_images(), 4)
    draw_codes, encode, decode_codes, reconstruct = (
        jax.jit(getattr(model.codes, name)) for name in ("draw", "encode", "decode", "reconstruct")
    )
    state = jax.jit(model.init)(KEY, batch)
    codes = draw_codes(state, KEY, batch)
    chex.assert_shape(codes, (4, 4, 4))
    np.testing.assert_array_equal(codes, encode(state, batch["image"]))
    images = decode_codes(state, codes)
    np.testing.assert_allclose(images, reconstruct(state, batch["image"]), atol=1e-6)
    assert images.shape == batch["image"].shape
    assert float(jnp.abs(images).max()) <= 1.0


def test_the_logit_laplace_density_is_that_of_scipy_in_other_units_and_adds_up_to_1():
    likelihood = logit_laplace()

    def density(x):
        parameters = jnp.array([0.4, -0.7]).reshape(1, 1, 1, 2)
        return float(jnp.exp(likelihood.log_prob(parameters, jnp.full((1, 1, 1, 1), x)))[0])

    u = 0.4 * (0.3 + 1) + 0.1
    expected = scipy.stats.laplace(0.4, np.exp(-0.7)).pdf(np.log(u / (1 - u))) / (u * (1 - u)) * 0.4
    assert density(0.3) == pytest.approx(expected, rel=1e-5)
    places = np.linspace(-1.25, 1.25, 4001)[1:-1]  # where u goes from 0 to 1
    parameters = jnp.broadcast_to(jnp.array([0.4, -0.7]), (len(places), 1, 1, 2))
    values = np.exp(likelihood.log_prob(parameters, jnp.asarray(places, jnp.float32).reshape(-1, 1, 1, 1)))
    assert scipy.integrate.simpson(values, x=places) == pytest.approx(1.0, abs=2e-3)


def test_logit_laplace_draws_lie_around_the_mean():
    likelihood, parameters = logit_laplace(), jnp.broadcast_to(jnp.array([0.4, -3.0]), (4000, 1, 1, 2))
    drawn = likelihood.draw(example_keys(KEY, jnp.arange(4000, dtype=jnp.uint32)), parameters)
    assert float(jnp.median(drawn)) == pytest.approx(float(likelihood.mean(parameters)[0, 0, 0, 0]), abs=0.01)
