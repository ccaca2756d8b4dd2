"""The ladder VAE: several layers of latents (Sonderby et al. 2016, https://arxiv.org/abs/1602.02282)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import jax
import jax.numpy as jnp

from jaxgen.core.keys import folded_keys
from jaxgen.core.per_example import total
from jaxgen.models.vae.posteriors import (
    DecoderFunction,
    Draw,
    Generation,
    Key,
    Params,
    Posterior,
    draw_normal,
    kl_by_latent,
    no_params,
)
from jaxgen.models.vae.spec import VAE

Choose = Callable[[int, jax.Array, jax.Array], jax.Array]
"""(number of the layer from the top, mean, log-variance) -> noise, [N, L_i] each."""


@dataclass(frozen=True, kw_only=True)
class HierarchicalVAE(VAE):
    """A `VAE` with `ladder_posterior(latent_sizes)`, which the functions of `jaxgen.models.vae` take like any VAE.

    The encoder is `LadderEncoder` of `jaxgen.networks.ladder`, or another with the same outputs; the decoder is
    `LadderDecoder`, or another with its method `prior`. `kl_warmup_steps` keeps the upper layers in use (section 2.3 of
    the paper). There are no classes.
    """

    posterior: Posterior = field(init=False)
    latent_sizes: tuple[int, ...]
    """Sizes of the layers' latents from the images upwards, those of the networks."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "latent_sizes", tuple(self.latent_sizes))
        object.__setattr__(self, "posterior", ladder_posterior(self.latent_sizes))
        super().__post_init__()


def ladder_posterior(latent_sizes: Sequence[int]) -> Posterior:
    """Return the posterior that joins each layer's Gaussian from below, (m, v), with its prior from above by precision.

        q(z_i | x, z_(i+1)) = N((m / v + mu / sigma^2) / (1 / v + 1 / sigma^2), 1 / (1 / v + 1 / sigma^2))

    with the prior N(mu, sigma^2) (eqs. 17 to 19); the top layer's is (m, v) alone. The noise e_i = (z_i - mu) / sigma
    is drawn, whose prior is standard normal and which leaves every divergence unchanged: with r = log sigma^2 - log v,

        q(e_i | x, e_(>i)) = N(sigmoid(r) (m - mu) / sigma, 1 / (1 + e^r))

    Args:
      latent_sizes: sizes of the layers' latents from the images upwards. Latents are [N, L] from the top down.
    """
    downwards = tuple(latent_sizes)[::-1]
    return Posterior(
        sum(downwards),
        2 * sum(downwards),
        no_params,
        partial(_draw, downwards),
        partial(_moments, downwards),
        partial(_point, downwards),
        closed_form=True,
    )


def _descend(
    downwards: Sequence[int], outputs: jax.Array, decoder: DecoderFunction, choose: Choose
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return (mean, log-variance, noise), [N, L] each; `choose` returns each layer's noise, given its Gaussian."""
    layers, start, above = [], 0, None
    for number, size in enumerate(downwards):
        mean, log_variance = jnp.split(outputs[:, start : start + 2 * size], 2, -1)
        start += 2 * size
        if above is None:
            noise = above = choose(number, mean, log_variance)
        else:
            layer = len(downwards) - 1 - number
            prior_mean, prior_log_variance = decoder(above, layer, method="prior")
            scale, ratio = jnp.exp(0.5 * prior_log_variance), prior_log_variance - log_variance
            mean = jax.nn.sigmoid(ratio) * (mean - prior_mean) / scale
            log_variance = -jax.nn.softplus(ratio)
            noise = choose(number, mean, log_variance)
            above = prior_mean + scale * noise
        layers.append((mean, log_variance, noise))
    means, log_variances, noises = (jnp.concatenate(parts, -1) for parts in zip(*layers, strict=True))
    return means, log_variances, noises


def _draw(downwards: Sequence[int], params: Params, outputs: jax.Array, keys: Key, generation: Generation) -> Draw:
    del params
    log_densities = []

    def choose(number: int, mean: jax.Array, log_variance: jax.Array) -> jax.Array:
        noise, log_density = draw_normal(mean, log_variance, folded_keys(keys, number))
        log_densities.append(log_density)
        return noise

    mean, log_variance, noise = _descend(downwards, outputs, generation.decoder, choose)
    return Draw(noise, total(log_densities), kl_by_latent(mean, log_variance))


def _moments(
    downwards: Sequence[int], params: Params, outputs: jax.Array, decoder: DecoderFunction
) -> tuple[jax.Array, jax.Array]:
    """Return the moments of each layer, given the means of the layers above it."""
    del params
    return _descend(downwards, outputs, decoder, lambda number, mean, log_variance: mean)[:2]


def _point(downwards: Sequence[int], params: Params, outputs: jax.Array, decoder: DecoderFunction) -> jax.Array:
    return _moments(downwards, params, outputs, decoder)[0]
