"""What the samples of all models have in common: a standard normal prior, and classes where a model has them."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxgen.core.keys import example_normal
from jaxgen.core.types import AnyArray, ConditionValue, Key


def normal_prior(latent_size: int) -> Callable[[Key, int], jax.Array]:
    """Return `prior(key, num_samples) -> latents [num_samples, latent_size]`, standard normal.

    Sample i is the same, however many are drawn.
    """
    return lambda key, num_samples: example_normal(key, jnp.arange(num_samples, dtype=jnp.uint32), (latent_size,))


def refuse_condition(condition: ConditionValue) -> None:
    """Raise a ValueError where a model without a condition is given one."""
    if condition is not None:
        raise ValueError("this model is unconditional: leave out `condition`")


def classes_in_turn(num_classes: int) -> Callable[[int], jax.Array]:
    """Return `conditions(num_samples) -> labels int32 [num_samples]`, which cycle through 0..K-1."""
    return lambda num_samples: jnp.arange(num_samples, dtype=jnp.int32) % num_classes


def captions_in_turn(prompts: AnyArray) -> Callable[[int], jax.Array]:
    """Return `captions(num_samples) -> int32 [num_samples, T]`, which cycle through `prompts` [P, T]."""
    return lambda num_samples: jnp.asarray(prompts, jnp.int32)[jnp.arange(num_samples) % len(prompts)]


def chosen_condition(
    condition: ConditionValue, num_samples: int, of_samples: Callable[[int], ConditionValue] | None
) -> ConditionValue:
    """Return the condition of samples: the given one, or else the default one for `num_samples` samples.

    Args:
      of_samples: num_samples -> the default condition; None: the model takes no condition, and None is returned.

    Raises:
      ValueError: a condition for a model without one.
    """
    if of_samples is None:
        refuse_condition(condition)
        return None
    return of_samples(num_samples) if condition is None else condition


def decoding_labels(
    condition: jax.Array | None, num_samples: int, num_classes: int | None
) -> tuple[()] | tuple[jax.Array]:
    """Return what samples with labels `condition` [num_samples] are decoded with besides their latents: (labels,).

    Without classes (`num_classes` None) that is (); without labels it is every class in turn.

    Raises:
      ValueError: a condition for a model without classes.
    """
    labels = chosen_condition(condition, num_samples, None if num_classes is None else classes_in_turn(num_classes))
    return () if labels is None else (labels,)
