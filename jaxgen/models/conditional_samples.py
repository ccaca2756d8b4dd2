"""What the samples of all models have in common: a standard normal prior, and classes where a model has them."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxgen.core.keys import example_normal
from jaxgen.core.state import Key, TrainState


def normal_prior(latent_size: int) -> Callable[[Key, int], jax.Array]:
    """`prior(key, num_samples) -> latents [num_samples, latent_size]`; sample i is the same, however many are drawn."""
    return lambda key, num_samples: example_normal(key, jnp.arange(num_samples, dtype=jnp.uint32), (latent_size,))


def refuse_condition(condition: Any) -> None:
    """Raise a ValueError where a model without a condition is given one."""
    if condition is not None:
        raise ValueError("this model is unconditional: leave out `condition`")


def classes_in_turn(num_classes: int) -> Callable[[int], jax.Array]:
    """`conditions(num_samples) -> labels int32 [num_samples]`, 0..K-1 again and again."""
    return lambda num_samples: jnp.arange(num_samples, dtype=jnp.int32) % num_classes


def captions_in_turn(prompts: Any) -> Callable[[int], jax.Array]:
    """`captions(num_samples) -> int32 [num_samples, T]`, those of `prompts` [P, T] again and again."""
    return lambda num_samples: jnp.asarray(prompts, jnp.int32)[jnp.arange(num_samples) % len(prompts)]


def labels_of_samples(
    condition: jax.Array | None, num_samples: int, num_classes: int | None
) -> tuple[()] | tuple[jax.Array]:
    """Return what samples of labels `condition` [num_samples] are decoded with besides their latents.

    Without classes (`num_classes` None) that is nothing; without labels it is every class in turn.

    Raises:
      ValueError: a condition for a model without classes.
    """
    if num_classes is None:
        if condition is not None:
            raise ValueError("this model is unconditional: leave out `condition`")
        return ()
    return (classes_in_turn(num_classes)(num_samples) if condition is None else condition,)


def sample_by_condition(
    draw: Callable[..., jax.Array], conditions: Callable[[int], Any] | None
) -> Callable[..., jax.Array]:
    """A model's `sample(state, key, num_samples, *, condition=None, **options)`.

    Args:
      draw: `draw(state, key, num_samples, condition, **options) -> samples`.
      conditions: those of so many samples, where none are given; None: the model takes no condition, and `draw` None.
    """

    def sample(state: TrainState, key: Key, num_samples: int, *, condition: Any = None, **options: Any) -> jax.Array:
        if conditions is None and condition is not None:
            raise ValueError("this model is unconditional: leave out `condition`")
        if conditions is not None and condition is None:
            condition = conditions(num_samples)
        return draw(state, key, num_samples, condition, **options)

    return sample
