"""StyleGAN2's style mixing, path lengths, and optimizer for lazy penalties."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from jaxgen.core.reductions import mean_over_devices

PATH_DECAY = 0.01
"""The weight of a batch in the running mean path length."""


def lazy_adam(learning_rate: float, every: int | None) -> optax.GradientTransformation:
    """Return Adam with betas 0 and 0.99 for a network that takes one more update, of a penalty, in every n-th step.

    With n = `every` and c = n / (n + 1), the rate is c times as large and the betas are raised to the power of c, so
    that the network moves as far as if the penalty were part of each step (Karras et al. 2020, arXiv:1912.04958,
    appendix B). None: there is no penalty, and c = 1.
    """
    share = 1.0 if every is None else every / (every + 1)
    return optax.adam(share * learning_rate, b1=0.0, b2=0.99**share, eps=1e-8)


def mix_styles(styles: jax.Array, keys: jax.Array, layers: int, probability: float) -> jax.Array:
    """Return each layer's style: the first of an example's two, and with some probability the second from a layer on.

    That layer is drawn among 1 to `layers` - 1 (Karras et al. 2019, arXiv:1812.04948, section 3.1), for each
    example by its own key, where the authors' code draws once for a batch.

    Args:
      styles: [B, 2, S].
      keys: [B].

    Returns:
      [B, layers, S].
    """
    chance, place = jax.vmap(lambda key: jax.random.uniform(key, (2,)))(keys).T
    crossover = jnp.where(chance < probability, 1.0 + jnp.floor(place * (layers - 1)), layers)
    first = jnp.arange(layers) < crossover[:, None]
    return jnp.where(first[..., None], styles[:, :1], styles[:, 1:])


def path_lengths(synthesize: Callable[[jax.Array], jax.Array], styles: jax.Array, directions: jax.Array) -> jax.Array:
    """Return |J^T y| of each example, with J the Jacobian of its image by its style (Karras et al. 2020, section 3.2).

    Args:
      synthesize: [B, N, S] -> images [B, H, W, C].
      styles: [B, N, S]; the squared length is that by the style of one layer, averaged over the N layers.
      directions: y, normal [B, H, W, C], over sqrt(H W) as in the authors' code.

    Returns:
      [B].
    """
    (gradients,) = jax.vjp(synthesize, styles)[1](directions)
    return jnp.sqrt(jnp.mean(jnp.sum(jnp.square(gradients), -1), -1) + 1e-12)


def update_mean_path_length(mean: jax.Array, lengths: jax.Array) -> jax.Array:
    """Return the running mean [] of path lengths after a batch's [B], over all devices; a constant for gradients."""
    return mean + PATH_DECAY * (mean_over_devices(jnp.mean(jax.lax.stop_gradient(lengths))) - mean)
