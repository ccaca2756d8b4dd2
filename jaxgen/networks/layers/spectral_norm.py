"""Spectral normalization (Miyato et al. 2018, arXiv:1802.05957)."""

import functools
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from jaxgen.core.types import Variables

COLLECTION = "spectral_norm"


class SpectralNorm(nn.Module):
    """A layer that computes with W / sigma(W), where sigma(W) is the largest singular value of its weights (eq. 8).

    sigma comes from one power iteration (Algorithm 1), v = W^T u / |W^T u|, u' = W v / |W v|, sigma = u'^T W v, with W
    as a matrix of outputs x everything else (a kernel [kh, kw, C, F] is F x (kh kw C), an embedding [K, F] is F x K).
    Gradients go through sigma with u' and v held constant. In training u' is stored for the next call, in the
    collection "spectral_norm"; otherwise it is not, but the iteration is done all the same, so that sigma belongs to
    the current weights (a moving average's, for example). Biases are not normalized.

    The parameters are those of the layer, under its own name, and start as it makes them (`flax.linen.SpectralNorm`
    would start with them normalized, which changes how fast they learn).

    Attributes:
      layer: `Conv`, `nn.Dense` or `nn.Embed`, made in the compact method that calls this.
    """

    layer: nn.Module

    @nn.compact
    def __call__(self, inputs: Array, *, train: bool) -> Array:
        """Map the layer's inputs to its outputs."""
        if self.is_initializing():
            self.layer(inputs)  # creates the parameters
        (weights,) = (leaf for leaf in jax.tree.leaves(self.layer.variables["params"]) if leaf.ndim > 1)
        matrix = weights.reshape(-1, weights.shape[-1])  # W^T
        u = self.variable(COLLECTION, "u", lambda: _unit(jax.random.normal(self.make_rng("params"), matrix.shape[-1:])))
        v = jax.lax.stop_gradient(_unit(matrix @ u.value))
        next_u = jax.lax.stop_gradient(_unit(v @ matrix))
        sigma = v @ matrix @ next_u
        if train and not self.is_initializing():
            u.value = next_u

        def normalize(variables: Variables) -> Variables:
            return jax.tree.map(lambda leaf: leaf / sigma if leaf.ndim > 1 else leaf, variables)

        return nn.map_variables(lambda layer: layer(inputs), "params", normalize)(self.layer)


def spectrally_normalized(layer: nn.Module, *, train: bool, enabled: bool = True) -> Callable[[Array], Array]:
    """Return `SpectralNorm(layer)` with its `train` set, or the layer itself if not `enabled`."""
    return functools.partial(SpectralNorm(layer), train=train) if enabled else layer


def _unit(vector: Array) -> Array:
    return vector / jnp.maximum(jnp.linalg.norm(vector), 1e-12)
