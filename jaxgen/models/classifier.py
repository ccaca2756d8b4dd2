"""An image classifier: not a generative model, but what judges them."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxgen.core.keys import example_keys
from jaxgen.core.model import GenerativeModel
from jaxgen.core.state import Batch, Key, TrainState, averaged_params
from jaxgen.models.augmentation import random_shift, random_turn
from jaxgen.models.single_loss import LossOutput, one_loss_model
from jaxgen.models.variables import apply_network, init_network


def classifier(
    network: nn.Module,
    *,
    optimizer: optax.GradientTransformation,
    shift: int = 0,
    degrees: float = 0.0,
    scale: float = 0.0,
    label_smoothing: float = 0.0,
    ema_decay: float | None = None,
) -> GenerativeModel:
    """Cross entropy of `network(images [B, H, W, C], train=...) -> logits [B, K]` on batches with `image` and `label`.

    Args:
      shift: training images are moved by up to this many pixels,
      degrees: turned by up to this angle,
      scale: and scaled by up to a factor 1 +- `scale`.
      label_smoothing: how much of each label's weight is spread over all classes (Szegedy et al. 2016, section 7).

    `functions`: `classify(state, images) -> logits [B, K]`.
    """

    def init_networks(key: Key, batch: Batch) -> tuple[Any, dict[str, Any]]:
        params, model_state = init_network(network, key, batch["image"])
        return params, {"classifier": model_state}

    def loss(params: Any, model_state: Any, batch: Batch, key: Key, *, train: bool) -> LossOutput:
        images = batch["image"]
        if train and (degrees or scale):
            key, turn_key = jax.random.split(key)
            images = random_turn(images, example_keys(turn_key, batch["index"]), degrees=degrees, scale=scale)
        if train and shift:
            images = random_shift(images, example_keys(key, batch["index"]), shift)
        logits, updated = apply_network(network, params, model_state["classifier"], images, train=train)
        targets = jax.nn.one_hot(batch["label"], logits.shape[-1])
        if train:
            targets = optax.smooth_labels(targets, label_smoothing)
        losses = optax.softmax_cross_entropy(logits, targets)  # [B]
        hits = (jnp.argmax(logits, -1) == batch["label"]).astype(jnp.float32)
        confidence = jnp.max(jax.nn.softmax(logits), -1)
        return LossOutput(losses, {"accuracy": hits, "confidence": confidence}, {"classifier": updated})

    def classify(state: TrainState, images: jax.Array) -> jax.Array:
        params = averaged_params(state, "classifier")
        return apply_network(network, params, state.model_state["classifier"], images, train=False)[0]

    return one_loss_model(
        name="classifier",
        init_networks=init_networks,
        loss=loss,
        optimizer=optimizer,
        ema_decay=ema_decay,
        functions={"classify": classify},
    )
