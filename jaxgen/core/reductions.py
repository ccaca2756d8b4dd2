"""Reductions over devices for use in a step.

A step is written for one device. If no device axis is bound (plain `jax.jit`) the reductions do nothing, so the same
step runs under `jit`, `pmap` and `shard_map`.
"""

import jax

from jaxgen.core.types import Tree

AXIS = "devices"
"""Name of the device axis."""


def axis_is_bound() -> bool:
    """Return whether the code being traced runs once per device (under `per_device`)."""
    try:
        jax.lax.axis_index(AXIS)
    except NameError:
        return False
    return True


def mean_over_devices(tree: Tree) -> Tree:
    """Average each leaf over all devices; return the tree itself if no device axis is bound."""
    return jax.lax.pmean(tree, AXIS) if axis_is_bound() else tree


def sum_over_devices(tree: Tree) -> Tree:
    """Sum each leaf over all devices; return the tree itself if no device axis is bound."""
    return jax.lax.psum(tree, AXIS) if axis_is_bound() else tree


def gather_over_devices(tree: Tree) -> Tree:
    """Join leaves [b, ...] of each device to the global batch [D * b, ...], in the order of the devices."""
    if not axis_is_bound():
        return tree
    return jax.tree.map(lambda x: jax.lax.all_gather(x, AXIS, axis=0, tiled=True), tree)
