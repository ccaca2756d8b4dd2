"""The adaptive linear predictor of sound on processes whose entropy rate is known."""

import math

import numpy as np
import pytest

from jaxgen.core.errors import UserError
from jaxgen.data.mu_law import mu_law_decode, mu_law_encode
from jaxgen.metrics import linear_prediction_nats

SCALE = 0.02


def autoregressive_codes(rows, length):
    """x_t = 1.6 x_{t-1} - 0.8 x_{t-2} + e_t, e of a Laplace distribution, as mu-law codes."""
    noise = np.random.default_rng(0).laplace(scale=SCALE, size=(rows, length + 200))
    x = np.zeros_like(noise)
    for t in range(2, x.shape[1]):
        x[:, t] = 1.6 * x[:, t - 1] - 0.8 * x[:, t - 2] + noise[:, t]
    return mu_law_encode(x[:, 200:])


def test_an_autoregressive_process_costs_its_entropy_rate():
    """That of levels: log(2 e b) of the noise, less the mean log width of the levels, which are narrow beside b."""
    codes = autoregressive_codes(8, 3000)
    nats = linear_prediction_nats(codes, order=4, memory=3000, scale_memory=1000)[:, 1000:]
    edges = mu_law_decode(np.arange(257) - 0.5)
    entropy_rate = math.log(2 * math.e * SCALE) - np.mean(np.log(np.diff(edges))[codes[:, 1000:]])
    assert entropy_rate < nats.mean() < entropy_rate + 0.02
    shallow = linear_prediction_nats(codes, order=1, memory=3000, scale_memory=1000)[:, 1000:]
    assert shallow.mean() > entropy_rate + 0.3


def test_noise_without_any_order_costs_its_entropy():
    codes = mu_law_encode(np.random.default_rng(0).laplace(scale=SCALE, size=(8, 3000)))
    nats = linear_prediction_nats(codes, order=2, memory=3000, scale_memory=1000)[:, 1000:]
    shares = np.bincount(codes[:, 1000:].ravel()) / nats.size
    assert nats.mean() == pytest.approx(-np.sum(shares * np.log(shares + 1e-30)), abs=0.02)


def test_silence_costs_next_to_nothing():
    assert linear_prediction_nats(np.full((1, 300), 128))[:, 100:].max() < 0.01


def test_the_cost_of_a_code_depends_on_those_before_it_alone():
    codes = autoregressive_codes(2, 60)
    other = codes.copy()
    other[0, 40] ^= 128
    before, after = linear_prediction_nats(codes), linear_prediction_nats(other)
    np.testing.assert_array_equal(before[:, :40], after[:, :40])
    np.testing.assert_array_equal(before[1], after[1])
    assert np.all(before[0, 40:44] != after[0, 40:44])


def test_no_surprise_costs_more_than_its_share_of_the_uniform_distribution():
    codes = np.full((1, 200), 128)
    codes[0, 150] = 255
    nats = linear_prediction_nats(codes)
    assert nats[0, 150] == pytest.approx(math.log(256 / 1e-3), rel=1e-6)
    assert nats.max() == nats[0, 150]


def test_one_row_without_a_table_is_refused():
    with pytest.raises(UserError, match="a table"):
        linear_prediction_nats(np.zeros(10, int))
