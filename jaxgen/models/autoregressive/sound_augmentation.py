"""Augmentation of sound: changes that leave it as likely as before, so that few clips are not memorized."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxgen.core.types import Key
from jaxgen.data.mu_law import LEVELS, amplitudes_of, codes_of


def random_loudness(
    probability: float, quietest: float = 0.05, loudest: float = 2.0
) -> Callable[[Key, jax.Array], jax.Array]:
    """Return (key, mu-law codes int [T]) -> codes of the same sound, at another loudness with this probability.

    Amplitudes are multiplied by a factor from `quietest` to `loudest`, uniform in its logarithm, and by -1 in half of
    the cases. Before that, each amplitude is drawn uniformly within its level, so that a quiet sound has no gaps
    between its levels.
    """

    def augment(key: Key, codes: jax.Array) -> jax.Array:
        change_key, factor_key, sign_key, level_key = jax.random.split(key, 4)
        factor = jnp.exp(jax.random.uniform(factor_key, minval=jnp.log(quietest), maxval=jnp.log(loudest)))
        factor = jnp.where(jax.random.bernoulli(sign_key), factor, -factor)
        within = jax.random.uniform(level_key, codes.shape, minval=-0.5, maxval=0.5)
        amplitudes = amplitudes_of(jnp.clip(codes + within, 0, LEVELS - 1), jnp)
        changed = codes_of(jnp.clip(factor * amplitudes, -1.0, 1.0), jnp).astype(codes.dtype)
        return jnp.where(jax.random.bernoulli(change_key, probability), changed, codes)

    return augment
