"""What models with a discriminator have in common: its augmentation, how that is adapted, and its metrics."""

import jax
import jax.numpy as jnp

from jaxgen.core.reductions import mean_over_devices, sum_over_devices
from jaxgen.core.state import TrainState, sum_and_count
from jaxgen.core.types import Metrics, ModelState, present
from jaxgen.models.augmentation import Augmentation

ADA = "augmentation"
"""The entry of the model state that holds the probability of an adaptive augmentation."""


def with_model_state(state: TrainState, name: str, model_state: ModelState) -> TrainState:
    """Return the state with the entry `name` of its model state replaced."""
    return state.replace(model_state={**state.model_state, name: model_state})


def init_ada_probability(augmentation: Augmentation | None) -> ModelState:
    """Return what an augmentation adds to the model state: nothing, or, if it is adaptive, its probability 0."""
    return {} if augmentation is None or augmentation.target is None else {ADA: {"probability": jnp.zeros(())}}


def augment(
    augmentation: Augmentation | None, state: TrainState, images: jax.Array, keys: jax.Array | None
) -> jax.Array:
    """Augment images [B, H, W, C] for the discriminator, each by its own key [B], or leave them as they are."""
    if augmentation is None:
        return images
    adaptive = state.model_state.get(ADA)
    return augmentation.apply(images, present(keys), jnp.ones(()) if adaptive is None else adaptive["probability"])


def update_ada_probability(
    augmentation: Augmentation | None, state: TrainState, real_logits: jax.Array, boundary: float = 0.0
) -> TrainState:
    """Move the ADA probability toward the target of mean sign(D(x) - boundary), of the real logits D(x) [B].

    A state whose augmentation is not adaptive is returned as it is.
    """
    if augmentation is None or augmentation.target is None:
        return state
    excess = mean_over_devices(jnp.mean(jnp.sign(real_logits - boundary))) - augmentation.target
    images = sum_over_devices(jnp.asarray(real_logits.size, jnp.float32))
    probability = state.model_state[ADA]["probability"]
    moved = probability + jnp.sign(excess) * images * augmentation.adaptation
    return with_model_state(state, ADA, {"probability": jnp.clip(moved, 0.0, 1.0)})


def augmentation_metrics(state: TrainState, examples: int) -> Metrics:
    """Return `augmentation/probability` of an adaptive augmentation, or else nothing."""
    if ADA not in state.model_state:
        return {}
    probability = state.model_state[ADA]["probability"]
    return {"augmentation/probability": sum_and_count(jnp.broadcast_to(probability, (examples,)))}


def discriminator_metrics(
    values: jax.Array, real_logits: jax.Array, fake_logits: jax.Array, boundary: float = 0.0
) -> Metrics:
    """Return the discriminator's loss and accuracies, from the losses and logits of the examples, [B] each."""
    return {
        "discriminator/loss": sum_and_count(values),
        "discriminator/accuracy_real": sum_and_count((real_logits > boundary).astype(jnp.float32)),
        "discriminator/accuracy_generated": sum_and_count((fake_logits < boundary).astype(jnp.float32)),
    }


def no_metric() -> tuple[jax.Array, jax.Array]:
    """Return the metric of no examples, with the types of `sum_and_count`."""
    return jnp.zeros((), jnp.float32), jnp.zeros((), jnp.float32)
