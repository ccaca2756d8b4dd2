"""Norms by groups keep their digits wherever the mean lies."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.networks.layers.normalization import normalized_by_groups


def values_and_gradient(x, weights, groups):
    """Values and the gradient of their weighted sum, in the type of x."""
    outputs, pull = jax.vjp(lambda x: normalized_by_groups(x, groups, 1e-5), x)
    return outputs, pull(weights.astype(x.dtype))[0]


@pytest.mark.parametrize("groups", [2, 6])
def test_digits_are_kept_far_from_zero(groups):
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        for mean in (0.0, 30.0, 1e3, 1e5):
            x, weights = (mean + rng.normal(size=(2, 8, 8, 6))).astype(np.float32), rng.normal(size=(2, 8, 8, 6))
            grouped = x.astype(np.float64).reshape(2, 64, groups, -1)
            centered = grouped - grouped.mean((1, 3), keepdims=True)
            expected = (centered / np.sqrt(grouped.var((1, 3), keepdims=True) + 1e-5)).reshape(x.shape)
            outputs, gradient = values_and_gradient(jnp.asarray(x), weights, groups)
            np.testing.assert_allclose(outputs, expected, rtol=0, atol=2e-6)
            exact = values_and_gradient(jnp.asarray(x, jnp.float64), weights, groups)[1]
            np.testing.assert_allclose(gradient, exact, rtol=0, atol=5e-6)


def test_one_value_far_from_all_others_does_not_hide_their_spread():
    x = np.random.default_rng(1).normal(size=(1, 64, 64, 1)).astype(np.float32)
    x[0, 0, 0, 0] = 1e4
    expected = (x - x.mean(dtype=np.float64)) / np.sqrt(x.var(dtype=np.float64) + 1e-5)
    np.testing.assert_allclose(normalized_by_groups(jnp.asarray(x), 1, 1e-5), expected, rtol=1e-5, atol=1e-5)
