"""Random numbers of examples, which are the same however many devices share a batch or how many are drawn."""

from collections.abc import Sequence

import jax
from jax.typing import ArrayLike


def example_keys(key: jax.Array, index: jax.Array) -> jax.Array:
    """Return one key per example, `fold_in(key, index[i])`: keys [B] from index [B]."""
    return jax.vmap(jax.random.fold_in, (None, 0))(key, index)


def folded_keys(keys: jax.Array, number: ArrayLike) -> jax.Array:
    """Fold a number into each of the keys [B], which yields other keys of the same examples."""
    return jax.vmap(jax.random.fold_in, (0, None))(keys, number)


def example_normal(key: jax.Array, index: jax.Array, shape: Sequence[int]) -> jax.Array:
    """Draw standard normal noise [B, *shape] for the examples numbered `index` [B]."""
    return jax.vmap(lambda k: jax.random.normal(k, tuple(shape)))(example_keys(key, index))


def example_chances(key: jax.Array, index: jax.Array, probability: float) -> jax.Array:
    """Draw bool [B], True with a given probability, for the examples numbered `index` [B]."""
    return jax.vmap(lambda k: jax.random.bernoulli(k, probability))(example_keys(key, index))
