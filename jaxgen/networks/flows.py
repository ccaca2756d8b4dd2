"""Normalizing flows for a posterior: invertible maps of latents, given a context vector, and their log-determinants."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxgen.networks.made import MADE


class PlanarFlow(nn.Module):
    """Planar layers with parameters computed from the context (Rezende and Mohamed 2015, arXiv:1505.05770, eqs. 10 to
    12).

        f(z) = z + u tanh(w^T z + b),    log |det| = log |1 + u^T w (1 - tanh^2(w^T z + b))|

    where u is moved along w until u^T w > -1, which makes f invertible (appendix A.1).

    Attributes:
      num_layers: K, the number of layers.
    """

    num_layers: int = 8

    @nn.compact
    def __call__(self, latents: Array, context: Array) -> tuple[Array, Array]:
        """Map latents [B, L] and context [B, C] to (latents [B, L], log |det d latents / d latents| [B])."""
        size = latents.shape[-1]
        small = nn.initializers.normal(0.1 / np.sqrt(context.shape[-1]))  # initially almost independent of the context
        parameters = nn.Dense(
            self.num_layers * (2 * size + 1), kernel_init=small, bias_init=nn.initializers.normal(0.1)
        )
        layers = parameters(context).reshape(-1, self.num_layers, 2 * size + 1)
        log_det = jnp.zeros(latents.shape[:1], latents.dtype)
        for i in range(self.num_layers):
            direction, normal, shift = jnp.split(layers[:, i], [size, 2 * size], axis=-1)  # u, w, b
            direction = invertible_direction(direction, normal)
            bent = jnp.tanh(jnp.sum(normal * latents, -1, keepdims=True) + shift)  # [B, 1]
            slope = jnp.sum(direction * normal, -1) * (1.0 - jnp.square(bent[:, 0]))  # [B], above -1
            latents, log_det = latents + direction * bent, log_det + jnp.log1p(slope)
        return latents, log_det


def invertible_direction(direction: Array, normal: Array) -> Array:
    """Return u + (m(w^T u) - w^T u) w / |w|^2 with m(x) = log(1 + e^x) - 1, so that w^T u > -1; all are [B, L]."""
    product = jnp.sum(direction * normal, -1, keepdims=True)
    length = jnp.sum(jnp.square(normal), -1, keepdims=True) + 1e-12
    return direction + (jax.nn.softplus(product) - 1.0 - product) * normal / length


class InverseAutoregressiveFlow(nn.Module):
    """Inverse autoregressive flow (Kingma et al. 2016, arXiv:1606.04934, eqs. 12 to 15, algorithm 1).

        z <- sigma z + (1 - sigma) m,    sigma = sigmoid(s + 1),    log |det| = sum_i log sigma_i

    with (m, s) from a `MADE` of z and the context, so that m_i and s_i depend on the latents before z_i. The order of
    the latents is reversed after each layer. Initially each layer keeps most of z (because of the 1 in sigma).

    Attributes:
      num_layers: T, the number of layers.
      widths: widths of the hidden layers of each MADE.
    """

    num_layers: int = 2
    widths: tuple[int, ...] = (64,)

    @nn.compact
    def __call__(self, latents: Array, context: Array) -> tuple[Array, Array]:
        """Map latents [B, L] and context [B, C] to (latents [B, L], log |det d latents / d latents| [B])."""
        log_det = jnp.zeros(latents.shape[:1], latents.dtype)
        for i in range(self.num_layers):
            latents = latents if i == 0 else latents[:, ::-1]
            outputs = MADE(self.widths)(latents, context)
            shift, log_sigma = outputs[:, 0], jax.nn.log_sigmoid(outputs[:, 1] + 1.0)
            sigma = jnp.exp(log_sigma)
            latents, log_det = sigma * latents + (1.0 - sigma) * shift, log_det + jnp.sum(log_sigma, -1)
        return latents, log_det
