"""Rows of a table by number."""

import jax
from jax import Array

_ONE_HOT_UP_TO = 512


def look_up(table: Array, tokens: Array) -> Array:
    """Table [K, E] and tokens int [...] -> [..., E].

    Small tables are looked up by a product with one-hot rows, exactly: then the gradient is a product too, where that
    of an index adds row by row (on a CPU, in one thread).
    """
    if len(table) > _ONE_HOT_UP_TO:
        return table[tokens]
    rows = jax.nn.one_hot(tokens.reshape(-1), len(table), dtype=table.dtype) @ table
    return rows.reshape(*tokens.shape, -1)
