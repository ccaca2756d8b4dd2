"""Flax variables as the contract splits them: `params`, and the model state, which changes without gradients."""

from typing import cast

import flax.linen as nn
import jax

from jaxgen.core.types import ModelState, Params, PyTree


def init_network(network: nn.Module, key: jax.Array, *inputs: jax.Array) -> tuple[Params, ModelState]:
    """Return (params, other collections) of a network called as `network(*inputs, train=False)`."""
    variables = dict(network.init(key, *inputs, train=False))
    return variables.pop("params"), variables


def apply_network(
    network: nn.Module, params: Params, model_state: ModelState, *inputs: PyTree, train: bool, **options: PyTree
) -> tuple[jax.Array, ModelState]:
    """Return (output, model state); with `train` the collections in `model_state` (batch statistics) are updated."""
    variables = {"params": params, **model_state}
    if not train:
        return cast(jax.Array, network.apply(variables, *inputs, train=False, **options)), model_state
    output, updated = cast(
        tuple[jax.Array, ModelState],
        network.apply(variables, *inputs, train=True, mutable=list(model_state), **options),
    )
    return output, dict(updated)
