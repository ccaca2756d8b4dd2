"""LSTM and GRU against PyTorch's, and their causality."""

import jax
import numpy as np
import pytest
from helpers import REFERENCES, subtree

from jaxgen.networks.recurrent import RecurrentLayer, RecurrentNetwork

KEY = jax.random.key(0)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_outputs_and_gradients_are_those_of_pytorch(kind):
    arrays = np.load(REFERENCES / "sequence_networks.npz")
    variables = {"params": subtree(arrays, f"{kind}/params/")}
    layer, inputs = RecurrentLayer(4, kind), arrays[f"{kind}/inputs"]
    with jax.enable_x64(True):
        outputs = layer.apply(variables, inputs)
        gradient = jax.grad(lambda x: (layer.apply(variables, x) ** 2).sum())(inputs)
    np.testing.assert_allclose(outputs, arrays[f"{kind}/outputs"], atol=1e-6)
    np.testing.assert_allclose(gradient, arrays[f"{kind}/gradient"], atol=1e-6)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_future_tokens_do_not_change_past_logits_and_past_ones_do(kind):
    network = RecurrentNetwork(7, 8, 2, kind)
    tokens = jax.random.randint(KEY, (2, 10), 0, 7)
    variables = network.init(KEY, tokens, train=False)
    before = network.apply(variables, tokens, train=False)
    after = network.apply(variables, tokens.at[:, 6].add(1) % 7, train=False)
    np.testing.assert_array_equal(before[:, :6], after[:, :6])
    assert np.all(np.abs(before - after)[:, 6:].max(-1) > 1e-6)


def test_the_forget_gates_begin_open():
    params = RecurrentNetwork(7, 4, 1).init(KEY, np.zeros((1, 2), int), train=False)["params"]
    np.testing.assert_array_equal(params["layer_0"]["inputs"]["bias"], np.repeat([0.0, 1.0, 0.0, 0.0], 4))
