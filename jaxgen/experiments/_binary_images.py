"""Options and values of autoregressive models of binary images, shared by experiments, and the model from them."""

from collections.abc import Callable
from dataclasses import dataclass

import flax.linen as nn
import optax

from jaxgen.core.model import GenerativeModel
from jaxgen.core.types import Assets
from jaxgen.experiments._averages import AverageOptions
from jaxgen.experiments._digits import BinarizationOptions
from jaxgen.experiments._grids import ClassOptions
from jaxgen.experiments._scored import BEST_BY_NATS
from jaxgen.models.autoregressive.grids import AutoregressiveGrid, binary_pixels
from jaxgen.training.config import TrainConfig


@dataclass(frozen=True)
class BinaryImagesConfig(TrainConfig):
    """Options of an autoregressive model of randomly binarized MNIST digits."""

    data: BinarizationOptions = BinarizationOptions()
    model: ClassOptions = ClassOptions()
    optimizer: AverageOptions = AverageOptions()


BINARY_IMAGES = {**BEST_BY_NATS, "learning_rate": 3e-3}
"""Values of an autoregressive model of MNIST digits."""


def build_image_model(
    config: BinaryImagesConfig,
    assets: Assets,
    network_of: Callable[[int | None], nn.Module],
    optimizer: optax.GradientTransformation,
) -> GenerativeModel:
    """Return the model of `network_of(number of classes, or None)`, pixel by pixel in raster order."""
    num_classes = len(assets["class_names"]) if config.model.conditional else None
    return AutoregressiveGrid(
        network_of(num_classes),
        token_shape=assets["image_shape"][:2],
        optimizer=optimizer,
        num_classes=num_classes,
        tokenizer=binary_pixels(),
        ema_decay=config.optimizer.ema_decay,
    ).model()
