"""Style transfer by the Gram matrices of a trained network's feature maps: the loss (Gatys et al. 2016, "Image Style
Transfer Using Convolutional Neural Networks", CVPR), and a network that learns to minimize it in one pass
(Johnson et al. 2016, https://arxiv.org/abs/1603.08155)."""

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxgen.core.keys import example_keys
from jaxgen.core.model import GenerativeModel, ImageMapping, ModelSpec
from jaxgen.core.per_example import row_means, rows, total
from jaxgen.core.state import TrainState, averaged_params
from jaxgen.core.types import Batch, Key, Metrics, ModelState, Params, Variables
from jaxgen.models import single_loss
from jaxgen.models.image_to_image.restoration import turned
from jaxgen.models.single_loss import LossOutput, SingleLoss
from jaxgen.models.variables import apply_network, init_network

CONTENT_MAPS = (4,)
"""Indices of EfficientNet-Lite0's feature maps (after the stem, then after each stage) that represent an image's
content: those at a sixteenth of its size."""
STYLE_MAPS = (1, 2, 3, 4)
"""Indices of the feature maps that represent an image's style: from half of its size to a sixteenth."""


class Weights(NamedTuple):
    """Weights of the parts of the loss."""

    content: float = 1.0
    style: float = 100.0
    smoothness: float = 20.0


WEIGHTS = Weights()


class Losses(NamedTuple):
    """The parts of the loss, each [B] and without its weight."""

    content: jax.Array
    style: jax.Array
    smoothness: jax.Array

    def total(self, weights: Weights) -> jax.Array:
        """Return the weighted sum of the parts, [B]."""
        return total(weight * values for weight, values in zip(weights, self, strict=True))


class Style(NamedTuple):
    """The style of a picture, and the network whose feature maps it is measured in."""

    load: Callable[[], Variables]
    """() -> {"network": its arrays, "grams": those of `style_of`}, which go to `model_state["frozen"]`."""
    maps: Callable[[Variables, jax.Array], list[jax.Array]]
    """(arrays, images [B, H, W, 3] in [-1, 1]) -> feature maps [B, h, w, C]."""


def gram_matrix(maps: jax.Array) -> jax.Array:
    """Return F^T F / (H W) [B, C, C] of maps F [B, H, W, C] (Gatys, eq. 3, divided by the number of places)."""
    batch, height, width, channels = maps.shape
    flat = maps.reshape(batch, height * width, channels)
    return jnp.einsum("bpc,bpd->bcd", flat, flat) / (height * width)


def content_of(maps: Sequence[jax.Array]) -> list[jax.Array]:
    """Return the feature maps that represent the content of images."""
    return [maps[i] for i in CONTENT_MAPS]


def style_of(maps: Sequence[jax.Array]) -> list[jax.Array]:
    """Return the Gram matrices [B, C, C] that represent the style of images."""
    return [gram_matrix(maps[i]) for i in STYLE_MAPS]


def relative_distance(found: Sequence[jax.Array], targets: Sequence[jax.Array]) -> jax.Array:
    """Return the mean over layers of |a - b|^2 / |b|^2, [B], with a found [B, ...] and b wanted [B or 1, ...]."""
    parts = [_mean_square(a - b) / _mean_square(b) for a, b in zip(found, targets, strict=True)]
    return total(parts) / len(parts)


def style_losses(
    images: jax.Array, maps: Sequence[jax.Array], content: Sequence[jax.Array], style: Sequence[jax.Array]
) -> Losses:
    """Return the losses of images [B, H, W, 3] in [-1, 1] with these `maps`, against the results of `content_of` and
    `style_of` for as many images, or for one.

    Squared distances are divided by the squared norm of their reference and averaged over the layers, so that layers
    and networks of any scale weigh the same (Gatys, eqs. 1 and 5 but for that). Smoothness is the mean squared
    difference of neighboring pixels.
    """
    smoothness = _mean_square(jnp.diff(images, axis=1)) + _mean_square(jnp.diff(images, axis=2))
    return Losses(relative_distance(content_of(maps), content), relative_distance(style_of(maps), style), smoothness)


@dataclass(frozen=True)
class Stylization(ModelSpec):
    """A network that redraws `image` [B, H, W, 3] in the style of one picture.

    Metrics: `translator/loss` and its unweighted parts `content`, `style`, `smoothness`; on evaluation also
    `plain_style`, the style loss of the original images.

    There is no `sample`: images come from images.
    """

    network: nn.Module
    """`network(images, train=...) -> images`, of any size."""
    _: KW_ONLY
    style: Style
    weights: Weights = WEIGHTS
    optimizer: optax.GradientTransformation
    turn: bool = False
    """Whether images are mirrored and turned at random in training, each of the 8 ways equally often."""
    ema_decay: float | None = None
    """Decay of the moving average that evaluation and `stylize` use; None: no average."""

    def model(self) -> GenerativeModel:
        return model(self)


def init(stylization: Stylization, key: Key, batch: Batch) -> TrainState:
    """Return the state at step 0."""
    return single_loss.init(training(stylization), key, batch)


def train_step(stylization: Stylization, state: TrainState, batch: Batch, key: Key) -> tuple[TrainState, Metrics]:
    """Take one optimizer step on the loss of a batch."""
    return single_loss.train_step(training(stylization), state, batch, key)


def eval_step(stylization: Stylization, state: TrainState, batch: Batch, key: Key) -> Metrics:
    """Return the metrics of held-out examples, with the averaged parameters."""
    return single_loss.eval_step(training(stylization), state, batch, key)


def stylize(stylization: Stylization, state: TrainState, images: jax.Array) -> jax.Array:
    """Redraw images [B, H, W, 3] in the style of the picture, in [-1, 1]."""
    params, network_state = averaged_params(state, "translator"), state.model_state["network"]
    return jnp.clip(apply_network(stylization.network, params, network_state, images, train=False)[0], -1.0, 1.0)


def compare(stylization: Stylization, state: TrainState, key: Key, batch: Batch) -> jax.Array:
    """Return images and their stylizations, [B, 2, H, W, 3]."""
    del key
    return jnp.stack([batch["image"], stylize(stylization, state, batch["image"])], 1)


def model(stylization: Stylization) -> GenerativeModel:
    """Return the model of a spec."""
    mapping = ImageMapping("stylize", partial(stylize, stylization), partial(compare, stylization))
    return single_loss.bind(training(stylization), mapping=mapping)


def training(stylization: Stylization) -> SingleLoss:
    """Return what is trained: the network, on `style_losses`."""
    return SingleLoss(
        name="translator",
        init_networks=partial(_init_networks, stylization),
        loss=partial(_loss, stylization),
        optimizer=stylization.optimizer,
        ema_decay=stylization.ema_decay,
    )


def _init_networks(stylization: Stylization, key: Key, batch: Batch) -> tuple[Params, ModelState]:
    params, network_state = init_network(stylization.network, key, batch["image"])
    # Copied, since the state's buffers are donated and must belong to no other array.
    return params, {"network": network_state, "frozen": jax.tree.map(jnp.copy, stylization.style.load())}


def _loss(
    stylization: Stylization, params: Params, model_state: ModelState, batch: Batch, key: Key, *, train: bool
) -> LossOutput:
    network, maps = stylization.network, stylization.style.maps
    images, frozen = batch["image"], model_state["frozen"]
    if stylization.turn and train:
        images = turned(example_keys(key, batch["index"]), images)
    outputs, network_state = apply_network(network, params, model_state["network"], images, train=train)
    given = maps(frozen["network"], images)
    found = style_losses(outputs, maps(frozen["network"], outputs), content_of(given), frozen["grams"])
    metrics = found._asdict()
    if not train:
        metrics["plain_style"] = style_losses(images, given, content_of(given), frozen["grams"]).style
    return LossOutput(found.total(stylization.weights), metrics, {**model_state, "network": network_state})


def _mean_square(values: jax.Array) -> jax.Array:
    """Return the mean square of each example, [B, ...] -> [B]."""
    return row_means(jnp.square(rows(values)))
