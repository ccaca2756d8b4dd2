"""Images and captions in one space (CLIP: Radford et al. 2021, https://arxiv.org/abs/2103.00020)."""

import math
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxgen.core.keys import example_keys
from jaxgen.core.model import Embeddings, GenerativeModel, ModelSpec
from jaxgen.core.reductions import gather_over_devices
from jaxgen.core.state import TrainState, averaged_params
from jaxgen.core.types import Batch, Key, Metrics, ModelState, Params, PyTree
from jaxgen.models import single_loss
from jaxgen.models.augmentation import random_shift, random_turn
from jaxgen.models.single_loss import LossOutput, SingleLoss
from jaxgen.models.variables import apply_network, init_network

FIRST_TEMPERATURE, LARGEST_SCALE = 0.07, 100.0
"""Initial temperature and largest 1 / temperature (section 2.5 of the paper)."""


@dataclass(frozen=True)
class Contrastive(ModelSpec):
    """Two encoders that learn which caption belongs to which image.

    Batches have `image` [B, H, W, C] and `caption` int [B, T].

    The loss of a pair of the global batch is that of `pair_losses`. Its 1 / temperature is learned, begins at 1 / 0.07,
    and is clipped to at most 100 after each step, so that it may fall again.

    Metrics, within a batch: `contrastive/loss`; `contrastive/image_accuracy`, how often an image's nearest caption is
    its own, and `contrastive/text_accuracy`, the other way round; `contrastive/scale`, 1 / temperature.
    """

    image_encoder: nn.Module
    """`image_encoder(images, train=...) -> [B, E]`; it may have batch statistics."""
    text_encoder: nn.Module
    """`text_encoder(captions, train=...) -> [B, E]`."""
    _: KW_ONLY
    optimizer: optax.GradientTransformation
    caption_in_training: Callable[[jax.Array, Batch], jax.Array] | None = None
    """(keys [B], batch) -> the captions int [B, T] to train on; None: the batch's `caption`."""
    shift: int = 0
    """Training images are shifted by up to this many pixels."""
    degrees: float = 0.0
    """Training images are rotated by up to this angle, in degrees."""
    scale: float = 0.0
    """Training images are scaled by up to a factor 1 +- `scale`."""
    ema_decay: float | None = None
    """Decay of the moving average that evaluation and embeddings use; None: no average."""

    def model(self) -> GenerativeModel:
        return model(self)


# ---------------------------------------------------------------- training


def training(contrastive: Contrastive) -> SingleLoss:
    """Return how both encoders and the temperature are trained: on the loss of pairs."""
    return SingleLoss(
        name="contrastive",
        init_networks=partial(init_networks, contrastive),
        loss=partial(loss, contrastive),
        optimizer=optax.chain(contrastive.optimizer, _scale_at_most(LARGEST_SCALE)),
        ema_decay=contrastive.ema_decay,
    )


def init(contrastive: Contrastive, key: Key, batch: Batch) -> TrainState:
    """Return the state at step 0."""
    return single_loss.init(training(contrastive), key, batch)


def train_step(contrastive: Contrastive, state: TrainState, batch: Batch, key: Key) -> tuple[TrainState, Metrics]:
    """Take one optimizer step on the loss of the pairs of a batch."""
    return single_loss.train_step(training(contrastive), state, batch, key)


def eval_step(contrastive: Contrastive, state: TrainState, batch: Batch, key: Key) -> Metrics:
    """Return the metrics of held-out pairs."""
    return single_loss.eval_step(training(contrastive), state, batch, key)


def init_networks(contrastive: Contrastive, key: Key, batch: Batch) -> tuple[Params, ModelState]:
    """Return (params, model_state) of both encoders and the temperature."""
    image_key, text_key = jax.random.split(key)
    image_params, image_state = init_network(contrastive.image_encoder, image_key, batch["image"])
    text_params, text_state = init_network(contrastive.text_encoder, text_key, batch["caption"])
    log_scale = jnp.full((), -math.log(FIRST_TEMPERATURE), jnp.float32)
    params = {"image": image_params, "text": text_params, "log_scale": log_scale}
    return params, {"image": image_state, "text": text_state}


def loss(
    contrastive: Contrastive, params: Params, model_state: ModelState, batch: Batch, key: Key, *, train: bool
) -> LossOutput:
    """Return the loss of each pair [B]."""
    images, captions = _training_pairs(contrastive, batch, key) if train else (batch["image"], batch["caption"])
    image_vectors, image_state = apply_network(
        contrastive.image_encoder, params["image"], model_state["image"], images, train=train
    )
    text_vectors, text_state = apply_network(
        contrastive.text_encoder, params["text"], model_state["text"], captions, train=train
    )
    inverse_temperature = jnp.exp(params["log_scale"])
    losses, image_hits, text_hits = pair_losses(
        _unit(image_vectors), _unit(text_vectors), inverse_temperature, batch["caption"]
    )
    metrics = {
        "image_accuracy": image_hits,
        "text_accuracy": text_hits,
        "scale": jnp.broadcast_to(inverse_temperature, losses.shape),
    }
    return LossOutput(losses, metrics, {"image": image_state, "text": text_state})


def _training_pairs(contrastive: Contrastive, batch: Batch, key: Key) -> tuple[jax.Array, jax.Array]:
    """Return the augmented images [B, H, W, C] and the captions int [B, T] to train on."""
    caption_key, turn_key, shift_key = jax.random.split(key, 3)
    images, captions, index = batch["image"], batch["caption"], batch["index"]
    if contrastive.caption_in_training is not None:
        captions = contrastive.caption_in_training(example_keys(caption_key, index), batch)
    if contrastive.degrees or contrastive.scale:
        keys = example_keys(turn_key, index)
        images = random_turn(images, keys, degrees=contrastive.degrees, scale=contrastive.scale)
    if contrastive.shift:
        images = random_shift(images, example_keys(shift_key, index), contrastive.shift)
    return images, captions


def _scale_at_most(largest: float) -> optax.GradientTransformation:
    """Return a transformation of updates that keeps `log_scale` at or below log(largest)."""

    def cut(updates: PyTree, params: PyTree) -> Params:
        return {**updates, "log_scale": jnp.minimum(updates["log_scale"], math.log(largest) - params["log_scale"])}

    return optax.stateless(cut)


def pair_losses(
    images: jax.Array, texts: jax.Array, inverse_temperature: jax.Array, names: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return the symmetric InfoNCE loss of each pair (figure 3 of the paper), among those of all devices.

    With s_ij = <image_i, text_j> / temperature, pair i has

        1/2 (-log softmax_j(s_ij)[i]  -  log softmax_j(s_ji)[i])

    Pairs with the same name are no negatives of each other: -log softmax is averaged over all pairs of the same name
    (UniCL: Yang et al. 2022, arXiv:2204.03610, eqs. 2 and 3).

    Args:
      images: [B, E], of length 1.
      texts: [B, E], of length 1.
      inverse_temperature: [].
      names: int [B, T]; pairs with equal rows are the same.

    Returns:
      the losses [B], and whether the nearest text of each image, and the nearest image of each text, has its name [B].
    """
    all_images, all_texts, all_names = (gather_over_devices(x) for x in (images, texts, names))
    same = jnp.all(names[:, None] == all_names, -1)  # [B, N]
    targets = same / jnp.sum(same, 1, keepdims=True)

    def one_way(vectors: jax.Array, others: jax.Array) -> tuple[jax.Array, jax.Array]:
        logits = inverse_temperature * jnp.matmul(vectors, others.T, precision=jax.lax.Precision.HIGHEST)
        hits = jnp.take_along_axis(same, jnp.argmax(logits, 1)[:, None], 1)[:, 0]
        return optax.softmax_cross_entropy(logits, targets), hits.astype(jnp.float32)

    image_losses, image_hits = one_way(images, all_texts)
    text_losses, text_hits = one_way(texts, all_images)
    return 0.5 * (image_losses + text_losses), image_hits, text_hits


# ---------------------------------------------------------------- use


def embed_images(contrastive: Contrastive, state: TrainState, images: jax.Array) -> jax.Array:
    """Return vectors [N, E], of length 1, of images [N, H, W, C]."""
    return _embed(contrastive.image_encoder, "image", state, images)


def embed_captions(contrastive: Contrastive, state: TrainState, captions: jax.Array) -> jax.Array:
    """Return vectors [N, E], of length 1, of captions int [N, T]."""
    return _embed(contrastive.text_encoder, "text", state, captions)


def model(contrastive: Contrastive) -> GenerativeModel:
    """Bind these functions to a spec."""
    embeddings = Embeddings(partial(embed_images, contrastive), partial(embed_captions, contrastive))
    return single_loss.bind(training(contrastive), embeddings=embeddings)


def _embed(network: nn.Module, name: str, state: TrainState, inputs: jax.Array) -> jax.Array:
    params = averaged_params(state, "contrastive")[name]
    return _unit(apply_network(network, params, state.model_state[name], inputs, train=False)[0])


def _unit(vectors: jax.Array) -> jax.Array:
    return vectors / jnp.linalg.norm(vectors, axis=-1, keepdims=True)
