"""Adversarial losses of the discriminator and the generator, as functions of the discriminator's logits."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxgen.core.reductions import mean_over_devices


class GANLoss(NamedTuple):
    """Two losses per example [B], functions of the logits D(x) of real and D(G(z)) of generated examples, [B] each."""

    discriminator: Callable[[jax.Array, jax.Array], jax.Array]
    generator: Callable[[jax.Array, jax.Array], jax.Array]
    boundary: float = 0.0
    """The logit between "real" and "generated", for the discriminator's accuracy."""
    differences_only: bool = False
    """Whether the discriminator's loss depends on differences of logits only: then signs and accuracies say nothing by
    themselves."""


def _classify_real_and_generated(real: jax.Array, generated: jax.Array) -> jax.Array:
    """Return -log s(D(x)) - log(1 - s(D(G(z)))) with the sigmoid s: Goodfellow et al. 2014, eq. 1."""
    return jax.nn.softplus(-real) + jax.nn.softplus(generated)


def _relativistic_average(larger: jax.Array, smaller: jax.Array) -> jax.Array:
    """Return -log s(a - E[b]) - log(1 - s(b - E[a])): Jolicoeur-Martineau 2019, eqs. 15 and 16.

    The means are those of the whole batch, over all devices.
    """
    mean_larger, mean_smaller = (mean_over_devices(jnp.mean(logits)) for logits in (larger, smaller))
    return jax.nn.softplus(mean_smaller - larger) + jax.nn.softplus(smaller - mean_larger)


LOSSES: dict[str, GANLoss] = {
    # G minimizes log(1 - s(D(G(z)))): Goodfellow et al. 2014 (arXiv:1406.2661), eq. 1.
    "minimax": GANLoss(_classify_real_and_generated, lambda real, generated: -jax.nn.softplus(generated)),
    # G minimizes -log s(D(G(z))), section 3: the same fixed point, but strong gradients where D wins.
    "non_saturating": GANLoss(_classify_real_and_generated, lambda real, generated: jax.nn.softplus(-generated)),
    # Mao et al. 2017 (arXiv:1611.04076), eq. 2 with a = 0, b = c = 1 (eq. 9).
    "least_squares": GANLoss(
        lambda real, generated: 0.5 * jnp.square(real - 1.0) + 0.5 * jnp.square(generated),
        lambda real, generated: 0.5 * jnp.square(generated - 1.0),
        boundary=0.5,
    ),
    # Arjovsky et al. 2017 (arXiv:1701.07875), eq. 2: D must be kept Lipschitz by a penalty or spectral normalization.
    "wasserstein": GANLoss(
        lambda real, generated: generated - real, lambda real, generated: -generated, differences_only=True
    ),
    # Lim and Ye 2017 (arXiv:1705.02894); Miyato et al. 2018 (arXiv:1802.05957), eqs. 16 and 17.
    "hinge": GANLoss(
        lambda real, generated: jax.nn.relu(1.0 - real) + jax.nn.relu(1.0 + generated),
        lambda real, generated: -generated,
    ),
    # Jolicoeur-Martineau 2019 (arXiv:1807.00734): real logits above the mean generated one, and the other way round.
    "relativistic_average": GANLoss(
        _relativistic_average,
        lambda real, generated: _relativistic_average(generated, real),
        differences_only=True,
    ),
}
