"""Low-rank adapters: a trained network stays as it is, and small products added to its kernels are trained."""

import math
from typing import cast

import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict

from jaxgen.core.types import Key, Params


def create_adapters(key: Key, params: Params, rank: int) -> Params:
    """Return adapters of all kernels [in, out] of a network: normal `down` [in, rank] and zero `up` [rank, out].

    Embeddings, biases and norms get no adapter. Before the first step the network's outputs are unchanged.
    """
    kernels = {path: kernel for path, kernel in _flat(params).items() if path[-1] == "kernel" and kernel.ndim == 2}
    keys = jax.random.split(key, len(kernels))
    adapters = {}
    for kernel_key, (path, kernel) in zip(keys, sorted(kernels.items()), strict=True):
        spread = 1.0 / math.sqrt(kernel.shape[0])
        adapters[(*path, "down")] = spread * jax.random.normal(kernel_key, (kernel.shape[0], rank), kernel.dtype)
        adapters[(*path, "up")] = jnp.zeros((rank, kernel.shape[1]), kernel.dtype)
    return unflatten_dict(adapters)


def with_adapters(params: Params, adapters: Params) -> Params:
    """Return W + down up for each kernel W with an adapter (LoRA: Hu et al. 2021, arXiv:2106.09685, eq. 3).

    LoRA's alpha is the rank.
    """
    kernels, small = _flat(params), _flat(adapters)
    for path in {path[:-1] for path in small}:
        kernels[path] = kernels[path] + small[(*path, "down")] @ small[(*path, "up")]
    return unflatten_dict(kernels)


def _flat(params: Params) -> dict[tuple[str, ...], jax.Array]:
    """Return the arrays of nested parameters by their paths."""
    return cast(dict[tuple[str, ...], jax.Array], flatten_dict(params))
