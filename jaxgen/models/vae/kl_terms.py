"""The weight and the lower bound of the KL term in training."""

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from jaxgen.core.reductions import mean_over_devices


def kl_weight_schedule(beta: float, warmup_steps: int) -> optax.Schedule:
    """Return the schedule of the KL term's weight: `beta`, reached linearly over the first `warmup_steps` steps.

    beta: Higgins et al. 2017; the warm-up: Bowman et al. 2016, arXiv:1511.06349, section 3.1, and Sonderby et al. 2016,
    arXiv:1602.02282, section 2.3.
    """

    def weight(step: ArrayLike) -> jax.Array:
        return beta * jnp.minimum(1.0, jnp.divide(step, warmup_steps)) if warmup_steps else jnp.asarray(beta)

    return weight


def with_free_bits(kl: jax.Array, free_nats: float) -> jax.Array:
    """Return sum_j max(lambda, the mean over the whole batch of latent j's KL): [B, L] -> [].

    Kingma et al. 2016, arXiv:1606.04934, eq. 16, with a group for each latent.
    """
    return jnp.sum(jnp.maximum(free_nats, mean_over_devices(jnp.mean(kl, 0))))
