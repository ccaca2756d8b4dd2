"""Names of the types that signatures share.

Arrays inside a compiled function are `Array`; a function that takes NumPy's too, or numbers, says `ArrayLike` of
`jax.typing`. What is a tree of arrays has a name that says which tree it is, and no type for what is inside, as in jax,
Flax and optax: its structure is the network's or the optimizer's, which no type checker sees.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias, TypeVar

import jax
import numpy as np

Array: TypeAlias = jax.Array
AnyArray: TypeAlias = jax.Array | np.ndarray
"""An array of jax or of NumPy."""
Key: TypeAlias = jax.Array
"""A key of `jax.random`."""
Batch: TypeAlias = Mapping[str, Array]
"""Examples by what they consist of: {"image": [B, H, W, C], "label": [B], "index": [B], ...}."""
Metrics: TypeAlias = dict[str, tuple[Array, Array]]
"""Metrics as (sum, weight) pairs, to be added over batches and devices before dividing."""

PyTree: TypeAlias = Any
"""Any tree of arrays that jax takes: what stands inside parameters, gradients, optimizer states, carries of loops."""
Tree = TypeVar("Tree")
"""A tree that comes back with the same structure, as from a mean over devices."""
Params: TypeAlias = Mapping[str, PyTree]
"""Parameters (or their gradients): of one network by layer, or of a model by network."""
ModelState: TypeAlias = Mapping[str, PyTree]
"""What of a model changes but is not trained by gradients, under names as in `TrainState.model_state`."""
Variables: TypeAlias = Mapping[str, PyTree]
"""Flax's collections of variables, as `network.apply` takes them: {"params": ..., "batch_stats": ...}."""

SampleOptions: TypeAlias = Mapping[str, Any]
"""Options of a model's `sample` by keyword."""
Value = TypeVar("Value")

Json: TypeAlias = dict[str, Any]
"""An object of a JSON file: a record, options, what describes data."""
Assets: TypeAlias = Mapping[str, Any]
"""JSON-able facts about a data set that a run keeps: class names, vocabulary, sample rate."""

ConditionValue: TypeAlias = Any
"""What samples are of: labels [N], captions [N, T], a tuple of arrays (speech), or None; the model says which."""


def present(value: Value | None) -> Value:
    """Return a value that may be missing but, as the caller knows, is not: a capability of a model, a class count."""
    assert value is not None
    return value
