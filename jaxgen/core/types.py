"""Names of types shared by signatures.

Arrays inside a compiled function are `Array`; a function that also takes NumPy arrays or numbers uses `ArrayLike` of
`jax.typing`. A tree of arrays has a name that says which tree it is, but no type for its content, as in jax, Flax and
optax: its structure is the network's or the optimizer's, which no type checker sees.
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
"""Examples by entry: {"image": [B, H, W, C], "label": [B], "index": [B], ...}."""
Metrics: TypeAlias = dict[str, tuple[Array, Array]]
"""Metrics as (sum, weight) pairs, to be added over batches and devices before dividing."""

PyTree: TypeAlias = Any
"""Any tree of arrays that jax accepts: the content of parameters, gradients, optimizer states, carries of loops."""
Tree = TypeVar("Tree")
"""A tree whose structure is returned unchanged, as by a mean over devices."""
Params: TypeAlias = Mapping[str, PyTree]
"""Parameters (or their gradients): of one network by layer, or of a model by network."""
ModelState: TypeAlias = Mapping[str, PyTree]
"""State of a model that changes but is not trained by gradients, under names as in `TrainState.model_state`."""
Variables: TypeAlias = Mapping[str, PyTree]
"""Flax's collections of variables, as in `network.apply`: {"params": ..., "batch_stats": ...}."""

ConditionValue: TypeAlias = PyTree
"""The condition of samples: labels [N], captions [N, T], a tuple of arrays (speech), or None; the model defines
which."""
SampleOptions: TypeAlias = Mapping[str, Any]
"""Options of a model's `sample` by keyword."""

Json: TypeAlias = dict[str, Any]
"""An object of a JSON file: a record, options, a description of data."""
Assets: TypeAlias = Mapping[str, Any]
"""JSON-serializable facts about a data set that a run keeps: class names, vocabulary, sample rate."""

Value = TypeVar("Value")


def present(value: Value | None) -> Value:
    """Return a value that its type allows to be None but the caller knows to exist, such as a class count."""
    assert value is not None
    return value
