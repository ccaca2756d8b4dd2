"""The ladder VAE: several layers of latents (Sonderby et al. 2016, https://arxiv.org/abs/1602.02282)."""

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgen.core.keys import folded_keys
from jaxgen.core.model import GenerativeModel
from jaxgen.models.vae.posteriors import Draw, Generation, Key, Params, Posterior, draw_normal, kl_by_latent
from jaxgen.models.vae.principle import vae

Choose = Callable[[int, jax.Array, jax.Array], jax.Array]


def hierarchical_vae(
    encoder: nn.Module, decoder: nn.Module, *, latent_sizes: Sequence[int], **options: Any
) -> GenerativeModel:
    """`jaxgen.models.vae` with `ladder_posterior(latent_sizes)`.

    Args:
      encoder: `LadderEncoder` of `jaxgen.networks.ladder`, or another with the same outputs.
      decoder: `LadderDecoder`, or another with its method `prior`.
      latent_sizes: of the layers from the images upwards; the networks'.
      options: of `vae`. `kl_warmup_steps` is what keeps the upper layers in use (section 2.3 there). There are no
        classes.
    """
    return vae(encoder, decoder, posterior=ladder_posterior(latent_sizes), **options)


def ladder_posterior(latent_sizes: Sequence[int]) -> Posterior:
    """Each layer's Gaussian from below, (m, v), joined with its prior from above, (mu, sigma^2), by precision.

        q(z_i | x, z_(i+1)) = N((m / v + mu / sigma^2) / (1 / v + 1 / sigma^2), 1 / (1 / v + 1 / sigma^2))

    (eqs. 17 to 19); the top layer's is (m, v) alone. What is drawn is the noise e_i = (z_i - mu) / sigma, in which the
    prior is standard normal and every divergence as it was: with r = log sigma^2 - log v,

        q(e_i | x, e_(>i)) = N(sigmoid(r) (m - mu) / sigma, 1 / (1 + e^r))

    Args:
      latent_sizes: of the layers from the images upwards. Latents are [N, L] from the top down.
    """
    downwards = list(latent_sizes)[::-1]
    total = sum(downwards)

    def descend(
        outputs: jax.Array, decoder: Callable[..., Any], choose: Choose
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """(mean, log-variance, noise), [N, L] each; `choose` gives the noise, layer after layer, of its Gaussian."""
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
        return tuple(jnp.concatenate(parts, -1) for parts in zip(*layers, strict=True))

    def draw(params: Params, outputs: jax.Array, keys: Key, generation: Generation) -> Draw:
        del params
        log_densities = []

        def choose(number: int, mean: jax.Array, log_variance: jax.Array) -> jax.Array:
            noise, log_density = draw_normal(mean, log_variance, folded_keys(keys, number))
            log_densities.append(log_density)
            return noise

        mean, log_variance, noise = descend(outputs, generation.decoder, choose)
        return Draw(noise, sum(log_densities), kl_by_latent(mean, log_variance))

    def moments(params: Params, outputs: jax.Array, decoder: Callable[..., Any]) -> tuple[jax.Array, jax.Array]:
        """Those of each layer below the means of the layers above."""
        del params
        return descend(outputs, decoder, lambda number, mean, log_variance: mean)[:2]

    def point(params: Params, outputs: jax.Array, decoder: Callable[..., Any]) -> jax.Array:
        return moments(params, outputs, decoder)[0]

    return Posterior(total, 2 * total, lambda key: {}, draw, moments, point, closed_form=True)
