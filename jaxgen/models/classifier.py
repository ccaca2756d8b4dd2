"""An image classifier: not a generative model, but what judges them."""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxgen.models.one_loss import LossOutput, one_loss_model
from jaxgen.models.variables import apply_network, init_network
from jaxgen.training.parallel import example_keys
from jaxgen.training.state import Batch, GenerativeModel, Key, TrainState, averaged_params


def random_turn(images: jax.Array, keys: jax.Array, *, degrees: float, scale: float) -> jax.Array:
    """Turns each image [B, H, W, C] by up to `degrees` and scales it by up to a factor 1 +- `scale`, about its centre.

    Each by its own key; bilinear, edges are repeated.
    """
    height, width = images.shape[1:3]
    y, x = jnp.mgrid[:height, :width]
    centre_y, centre_x = (height - 1) / 2, (width - 1) / 2

    def turn(image: jax.Array, key: jax.Array) -> jax.Array:
        angle, factor = jax.random.uniform(key, (2,), minval=-1.0) * jnp.array([jnp.deg2rad(degrees), scale])
        cosine, sine = jnp.cos(angle) / (1 + factor), jnp.sin(angle) / (1 + factor)
        rows = centre_y + cosine * (y - centre_y) - sine * (x - centre_x)
        columns = centre_x + sine * (y - centre_y) + cosine * (x - centre_x)
        at = functools.partial(jax.scipy.ndimage.map_coordinates, coordinates=[rows, columns], order=1, mode="nearest")
        return jax.vmap(at, in_axes=-1, out_axes=-1)(image)

    return jax.vmap(turn)(images, keys)


def random_shift(images: jax.Array, keys: jax.Array, pixels: int) -> jax.Array:
    """Moves each image [B, H, W, C] by up to `pixels` in both directions, each by its own key; edges are repeated."""
    padded = jnp.pad(images, ((0, 0), (pixels, pixels), (pixels, pixels), (0, 0)), mode="edge")

    def shift(image: jax.Array, key: jax.Array) -> jax.Array:
        top, left = jax.random.randint(key, (2,), 0, 2 * pixels + 1)
        return jax.lax.dynamic_slice(image, (top, left, 0), images.shape[1:])

    return jax.vmap(shift)(padded, keys)


def classifier(
    network: nn.Module,
    *,
    optimiser: optax.GradientTransformation,
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
        optimiser=optimiser,
        ema_decay=ema_decay,
        functions={"classify": classify},
    )
