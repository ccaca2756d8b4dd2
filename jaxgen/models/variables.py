"""Flax variables as the contract has them: `params` beside what changes without gradients."""

from typing import Any

import flax.linen as nn
import jax

Variables = dict[str, Any]
"""{"params": ..., other collections}, as `network.apply` takes them."""


def init_network(network: nn.Module, key: jax.Array, *inputs: jax.Array) -> tuple[Any, dict[str, Any]]:
    """(params, other collections) of a network called as `network(*inputs, train=False)`."""
    variables = dict(network.init(key, *inputs, train=False))
    return variables.pop("params"), variables


def apply_network(
    network: nn.Module, params: Any, model_state: dict[str, Any], *inputs: jax.Array, train: bool, **options: Any
) -> tuple[jax.Array, dict[str, Any]]:
    """(output, model state): with `train` the collections in `model_state` (batch statistics) are updated."""
    variables = {"params": params, **model_state}
    if not train:
        return network.apply(variables, *inputs, train=False, **options), model_state
    output, updated = network.apply(variables, *inputs, train=True, mutable=list(model_state), **options)
    return output, dict(updated)
