"""Optimizer steps, moving averages and metrics, against numbers computed by hand."""

import dataclasses
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgen.core.state import averaged_params, create_state, freeze, sum_and_count, update, update_average
from jaxgen.training.dispatch import add_metrics, mean_metrics


def state_of(value=1.0, averaged=("net",)):
    params = {"net": {"w": jnp.full((3,), value)}, "other": {"w": jnp.zeros(2)}}
    optimizers = {name: optax.sgd(0.5) for name in params}
    return create_state(jax.random.key(0), params, optimizers, averaged=averaged)


def test_an_update_touches_one_network():
    state = update(state_of(), "net", {"w": jnp.array([1.0, 2.0, -4.0])}, optax.sgd(0.5))
    np.testing.assert_allclose(state.params["net"]["w"], [0.5, 0.0, 3.0])
    np.testing.assert_array_equal(state.params["other"]["w"], [0.0, 0.0])


@pytest.mark.parametrize("decay", [0.5, 0.9, 0.999])
def test_the_moving_average_is_that_of_the_formula(decay):
    state, expected = state_of(), 1.0
    for step in range(30):
        new = float(np.sin(step))
        state = state.replace(step=jnp.int32(step), params={**state.params, "net": {"w": jnp.full((3,), new)}})
        state = jax.jit(update_average, static_argnums=(1, 2))(state, "net", decay)
        d = min(decay, (1 + step) / (10 + step))
        expected = d * expected + (1 - d) * new
        np.testing.assert_allclose(state.ema_params["net"]["w"], expected, rtol=1e-5)


def test_averages_start_as_copies_of_the_parameters():
    state = state_of()
    assert set(state.ema_params) == {"net"}
    np.testing.assert_array_equal(state.ema_params["net"]["w"], state.params["net"]["w"])
    pointers = [leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves((state.params, state.ema_params))]
    assert len(set(pointers)) == len(pointers)  # a donated buffer must not stand in the state twice


def test_where_there_is_no_average_the_parameters_serve():
    state = state_of(averaged=())
    assert averaged_params(state, "net") is state.params["net"]


def test_unequal_batches_are_weighed_by_their_sizes():
    values = [np.arange(4.0), np.array([10.0])]
    parts = [{"loss": sum_and_count(jnp.asarray(v))} for v in values]
    assert mean_metrics(add_metrics(*parts)) == {"loss": 16.0 / 5}


def test_a_metric_without_weight_is_left_out():
    parts = [{"a": (1.0, 2.0), "b": (0.0, 0.0)}, {"a": (3.0, 2.0), "b": (0.0, 0.0)}]
    assert mean_metrics(add_metrics(*parts)) == {"a": 1.0}


def test_metrics_over_tokens_count_tokens():
    total, weight = sum_and_count(jnp.ones((4, 7)))
    assert (float(total), float(weight)) == (28.0, 28.0)


def test_nothing_of_a_state_can_be_changed():
    state = create_state(jax.random.key(0), {"network": {"w": jnp.ones(2)}}, {"network": optax.adam(0.1)})
    with pytest.raises(dataclasses.FrozenInstanceError):
        state.step = 1
    for mapping in (state.params, state.params["network"], state.opt_state, state.model_state, state.ema_params):
        with pytest.raises(TypeError, match="cannot be changed"):
            mapping["w"] = jnp.zeros(2)
    changed = state.replace(params={**state.params, "network": {"w": jnp.zeros(2)}})
    assert jax.tree.structure(changed) == jax.tree.structure(state)
    with pytest.raises(TypeError, match="cannot be changed"):
        changed.params["network"].update(w=1)
    again = pickle.loads(pickle.dumps(state.params["network"]))
    assert type(again) is type(state.params["network"])


def test_frozen_mappings_have_the_paths_of_dicts():
    tree = {"b": {"y": 1.0, "x": 2.0}, "a": 3.0}
    paths = [[(jax.tree_util.keystr(p), x) for p, x in jax.tree.leaves_with_path(t)] for t in (tree, freeze(tree))]
    assert paths[0] == paths[1]
