"""An image classifier: not a generative model itself, but a judge of their samples."""

from dataclasses import KW_ONLY, dataclass
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxgen.core.keys import example_keys
from jaxgen.core.model import GenerativeModel, ModelSpec
from jaxgen.core.state import TrainState, averaged_params
from jaxgen.core.types import Batch, Key, Metrics, ModelState, Params
from jaxgen.models import single_loss
from jaxgen.models.augmentation import random_shift, random_turn
from jaxgen.models.single_loss import LossOutput, SingleLoss
from jaxgen.models.variables import apply_network, init_network


@dataclass(frozen=True)
class Classifier(ModelSpec):
    """A network trained on the cross-entropy of image labels, on batches with `image` and `label`.

    Metrics: `classifier/loss`, with smoothed labels in training; `classifier/accuracy`; `classifier/confidence`, the
    largest probability of a class.
    """

    network: nn.Module
    """`network(images [B, H, W, C], train=...) -> logits [B, K]`."""
    _: KW_ONLY
    optimizer: optax.GradientTransformation
    shift: int = 0
    """Training images are shifted by up to this many pixels."""
    degrees: float = 0.0
    """Training images are rotated by up to this angle, in degrees."""
    scale: float = 0.0
    """Training images are scaled by up to a factor 1 +- `scale`."""
    label_smoothing: float = 0.0
    """Fraction of each label's weight that is spread over all classes (Szegedy et al. 2016, section 7)."""
    ema_decay: float | None = None
    """Decay of the moving average that evaluation uses; None: no average."""

    def model(self) -> GenerativeModel:
        return model(self)


def training(classifier: Classifier) -> SingleLoss:
    """Return how a classifier is trained: on the cross-entropy of its labels."""
    return SingleLoss(
        name="classifier",
        init_networks=partial(init_networks, classifier),
        loss=partial(loss, classifier),
        optimizer=classifier.optimizer,
        ema_decay=classifier.ema_decay,
    )


def init(classifier: Classifier, key: Key, batch: Batch) -> TrainState:
    """Return the state at step 0."""
    return single_loss.init(training(classifier), key, batch)


def train_step(classifier: Classifier, state: TrainState, batch: Batch, key: Key) -> tuple[TrainState, Metrics]:
    """Take one optimizer step on the cross-entropy of a batch."""
    return single_loss.train_step(training(classifier), state, batch, key)


def eval_step(classifier: Classifier, state: TrainState, batch: Batch, key: Key) -> Metrics:
    """Return the metrics of held-out images."""
    return single_loss.eval_step(training(classifier), state, batch, key)


def init_networks(classifier: Classifier, key: Key, batch: Batch) -> tuple[Params, ModelState]:
    """Return (params, model_state) of the network."""
    params, model_state = init_network(classifier.network, key, batch["image"])
    return params, {"classifier": model_state}


def loss(
    classifier: Classifier, params: Params, model_state: ModelState, batch: Batch, key: Key, *, train: bool
) -> LossOutput:
    """Return the cross-entropy [B] of each image, which is augmented in training."""
    images = batch["image"]
    if train and (classifier.degrees or classifier.scale):
        key, turn_key = jax.random.split(key)
        keys = example_keys(turn_key, batch["index"])
        images = random_turn(images, keys, degrees=classifier.degrees, scale=classifier.scale)
    if train and classifier.shift:
        images = random_shift(images, example_keys(key, batch["index"]), classifier.shift)
    logits, updated = apply_network(classifier.network, params, model_state["classifier"], images, train=train)
    targets = jax.nn.one_hot(batch["label"], logits.shape[-1])
    if train:
        targets = optax.smooth_labels(targets, classifier.label_smoothing)
    losses = optax.softmax_cross_entropy(logits, targets)  # [B]
    hits = (jnp.argmax(logits, -1) == batch["label"]).astype(jnp.float32)
    confidence = jnp.max(jax.nn.softmax(logits), -1)
    return LossOutput(losses, {"accuracy": hits, "confidence": confidence}, {"classifier": updated})


def classify(classifier: Classifier, state: TrainState, images: jax.Array) -> jax.Array:
    """Return the logits [N, K] of images [N, H, W, C]."""
    params = averaged_params(state, "classifier")
    return apply_network(classifier.network, params, state.model_state["classifier"], images, train=False)[0]


def model(classifier: Classifier) -> GenerativeModel:
    """Bind these functions to a spec."""
    return single_loss.bind(training(classifier), classify=partial(classify, classifier))
