"""What models with a discriminator have in common: its augmentation, how that is adapted, and its metrics."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxgen.core.reductions import mean_over_devices, sum_over_devices
from jaxgen.core.state import Metrics, TrainState, sum_and_count
from jaxgen.models.augmentation import Augmentation

ADAPTED = "augmentation"
"""The entry of the model state that holds the probability of an adaptive augmentation."""


def keep(state: TrainState, name: str, model_state: Any) -> TrainState:
    """The state with another entry `name` of its model state."""
    return state.replace(model_state={**state.model_state, name: model_state})


def initial_probability(augmentation: Augmentation | None) -> dict[str, Any]:
    """What an augmentation adds to the model state: nothing, or a probability that begins at 0."""
    return {} if augmentation is None or augmentation.target is None else {ADAPTED: {"probability": jnp.zeros(())}}


def augmented(
    augmentation: Augmentation | None, state: TrainState, images: jax.Array, keys: jax.Array | None
) -> jax.Array:
    """Images [B, H, W, C] as the discriminator is to see them, each by its own key [B]."""
    if augmentation is None:
        return images
    adaptive = state.model_state.get(ADAPTED)
    return augmentation.apply(images, keys, jnp.ones(()) if adaptive is None else adaptive["probability"])


def adapted(
    augmentation: Augmentation | None, state: TrainState, real_logits: jax.Array, boundary: float = 0.0
) -> TrainState:
    """Moves the probability of an adaptive augmentation by the sign of what the real logits' [B] signs say."""
    if augmentation is None or augmentation.target is None:
        return state
    excess = mean_over_devices(jnp.mean(jnp.sign(real_logits - boundary))) - augmentation.target
    images = sum_over_devices(jnp.asarray(real_logits.size, jnp.float32))
    probability = state.model_state[ADAPTED]["probability"]
    moved = probability + jnp.sign(excess) * images * augmentation.adaptation
    return keep(state, ADAPTED, {"probability": jnp.clip(moved, 0.0, 1.0)})


def augmentation_metrics(state: TrainState, examples: int) -> Metrics:
    """`augmentation/probability`, if it is adapted."""
    if ADAPTED not in state.model_state:
        return {}
    probability = state.model_state[ADAPTED]["probability"]
    return {"augmentation/probability": sum_and_count(jnp.broadcast_to(probability, (examples,)))}


def discriminator_metrics(
    values: jax.Array, real_logits: jax.Array, fake_logits: jax.Array, boundary: float = 0.0
) -> Metrics:
    """The loss and the accuracies, of the losses and logits of the examples, [B] each."""
    return {
        "discriminator/loss": sum_and_count(values),
        "discriminator/accuracy_real": sum_and_count((real_logits > boundary).astype(jnp.float32)),
        "discriminator/accuracy_generated": sum_and_count((fake_logits < boundary).astype(jnp.float32)),
    }
