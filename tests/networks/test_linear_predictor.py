"""The linear predictor that a network begins with: as the one in float64, step by step, and on a known process."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import laplace

from jaxgen.data.mu_law import LEVELS, mu_law_decode, mu_law_encode
from jaxgen.metrics import linear_prediction_nats
from jaxgen.networks.linear_prediction import LEAST_SCALE, LinearPredictor


def sound(rows=3, length=600):
    """A resonance x_t = 1.6 x_{t-1} - 0.8 x_{t-2} + e_t whose loudness changes, as mu-law codes."""
    noise = np.random.default_rng(0).laplace(scale=0.02, size=(rows, length))
    noise *= np.exp(np.sin(np.arange(length) / 60))
    x = np.zeros_like(noise)
    for t in range(2, length):
        x[:, t] = 1.6 * x[:, t - 1] - 0.8 * x[:, t - 2] + noise[:, t]
    return mu_law_encode(x)


SHARP = {"ridge": 1e-5, "bandwidth": 1.0}
predict = jax.jit(LinearPredictor(**SHARP).predict)


def test_what_it_says_is_worth_what_the_predictor_in_float64_is():
    codes = sound()
    ahead = jax.tree.map(np.asarray, predict(jnp.asarray(mu_law_decode(codes))))
    edges = mu_law_decode(np.arange(LEVELS + 1) - 0.5).astype(np.float64)
    edges[0], edges[-1] = -np.inf, np.inf
    nexts = codes[:, 1:].astype(int)
    lower, upper = (laplace.cdf(edges[nexts + side], ahead.sample[:, :-1], ahead.scale[:, :-1]) for side in (0, 1))
    nats = -np.log((1 - 1e-3) * (upper - lower) + 1e-3 / LEVELS)
    expected = linear_prediction_nats(codes)[:, 1:]
    assert nats.mean() == pytest.approx(expected.mean(), abs=0.03)
    assert np.corrcoef(nats.ravel(), expected.ravel())[0, 1] > 0.99
    assert expected.std() > 0.5


def test_the_loudness_is_that_of_the_last_samples():
    still = jnp.full((1, 400), 0.25)
    np.testing.assert_allclose(predict(still).loudness[0, 350:], 0.25, rtol=0.01)
    silence = predict(jnp.zeros((1, 400)))
    np.testing.assert_allclose(silence.loudness, LEAST_SCALE, rtol=1e-5)
    np.testing.assert_array_equal(silence.sample, 0.0)


@pytest.mark.parametrize("wave", [np.ones(500), np.resize([1.0, -1.0], 500), np.sin(0.1 * np.arange(500))])
def test_sound_of_full_loudness_without_noise_is_foretold(wave):
    """Where the products' matrix has no inverse but for the ridge."""
    ahead = predict(jnp.asarray(wave[None], jnp.float32))
    np.testing.assert_allclose(ahead.sample[0, 100:-1], wave[101:], atol=1e-4)


def test_steps_give_what_one_pass_over_all_samples_does():
    samples, predictor = jnp.asarray(mu_law_decode(sound(2, 40))), LinearPredictor(**SHARP)
    expected, known, step = predict(samples), predictor.start(2), jax.jit(predictor.step)
    for t in range(40):
        known = step(known, samples[:, t])
        for value, of_all in zip(known.ahead, expected, strict=True):
            np.testing.assert_allclose(value, of_all[:, t], rtol=1e-4, atol=1e-6)


def test_later_samples_change_nothing():
    samples = jnp.asarray(mu_law_decode(sound(1, 60)))
    gradients = jax.grad(lambda x: jnp.sum(predict(x).sample[0, 30] + predict(x).scale[0, 30]))(samples)[0]
    assert np.all(np.asarray(gradients[31:]) == 0)
    assert np.all(np.asarray(gradients[20:31]) != 0)


def drawn_by(predictor, seconds=0.25):
    """What becomes of speech, a vowel say, when the predictions and their errors alone go on with it."""
    vowel = jnp.asarray(mu_law_decode(sound(8, 800)))

    def heard(known, samples):
        return predictor.step(known, samples), None

    def said(known, key):
        samples = known.ahead.sample + known.ahead.scale * jax.random.laplace(key, (8,))
        return predictor.step(known, jnp.clip(samples, -1.0, 1.0)), samples

    @jax.jit
    def draw():
        known = jax.lax.scan(heard, predictor.start(8), vowel.T)[0]
        return jax.lax.scan(said, known, jax.random.split(jax.random.key(0), int(8000 * seconds)))[1]

    return vowel, draw()


def test_what_is_drawn_by_the_default_does_not_grow_to_full_loudness():
    vowel, drawn = drawn_by(LinearPredictor())
    assert jnp.sqrt(jnp.mean(drawn[-500:] ** 2)) < 1.5 * jnp.sqrt(jnp.mean(vowel**2))
    assert jnp.mean(jnp.abs(drawn) > 0.9) < 0.01
    _, sharp = drawn_by(LinearPredictor(**SHARP))
    assert jnp.mean(jnp.abs(sharp) > 0.9) > 0.1
