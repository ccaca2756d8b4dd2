"""The options that autoregressive models of binary images have, and how they become a model."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import flax.linen as nn
import optax

from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import PositiveFloat, Rate, Text, formerly
from jaxgen.data import Dataset, load
from jaxgen.data.binarization import binarized
from jaxgen.experiments._scored import LeastIsBest
from jaxgen.experiments._vae import BINARIZATION_SEED
from jaxgen.models.autoregressive.grids import AutoregressiveGrid, binary_pixels
from jaxgen.training.config import TrainConfig


@dataclass(frozen=True)
class BinaryImagesConfig(LeastIsBest, TrainConfig):
    """Options of an autoregressive model of MNIST digits, made binary by chance."""

    best_metric: Text | None = "eval/autoregressive/nats"
    """Keep in checkpoints_best/ the checkpoint with the best value of this evaluation metric, e.g. eval/fid."""
    binarization: Annotated[Literal["resampled", "fixed"], formerly("binarisation")] = "resampled"
    """Training images are drawn anew whenever they are seen, or were once; the test images were once (seed 0)."""
    conditional: bool = False
    """Learns the digits of each class, so that samples of a class can be asked for."""
    learning_rate: PositiveFloat = 1e-3
    """The optimizer's learning rate."""
    ema_decay: Rate | None = 0.999
    """Decay of the moving average of the weights that evaluation and samples use, once it is warm. None: no average."""


def load_data(config: BinaryImagesConfig) -> Dataset:
    """MNIST, made binary by chance."""
    return binarized(load("mnist"), seed=BINARIZATION_SEED, train=config.binarization == "fixed")


def build_image_model(
    config: BinaryImagesConfig,
    assets: Mapping[str, Any],
    network_of: Callable[[int | None], nn.Module],
    optimizer: optax.GradientTransformation,
) -> GenerativeModel:
    """The model of `network_of(number of classes, or None)`, pixel by pixel in raster order."""
    num_classes = len(assets["class_names"]) if config.conditional else None
    return AutoregressiveGrid(
        network_of(num_classes),
        token_shape=assets["image_shape"][:2],
        optimizer=optimizer,
        num_classes=num_classes,
        tokenizer=binary_pixels(),
        ema_decay=config.ema_decay,
    ).model()
