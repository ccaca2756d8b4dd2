"""The options and networks that the fully connected autoencoders of MNIST share."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import flax.linen as nn

from jaxgen.core.options import Count, PositiveFloat, Size, Widths
from jaxgen.networks.mlp import MLPEncoder, MLPGenerator
from jaxgen.training.config import TrainConfig


@dataclass(frozen=True)
class AutoencoderConfig(TrainConfig):
    """Options of an autoencoder of fully connected layers."""

    steps: Count = 9_380
    """How many training steps the run has in all (469 are one epoch of MNIST with --batch-size 128)."""
    reconstruction: Literal["mse", "cross_entropy"] = "cross_entropy"
    """How unlike an image its reconstruction is: squared error of values in [-1, 1], or cross entropy of values in
    [0, 1], in nats; both as a mean over the pixels."""
    latent_size: Size = 16
    """Length of the latent vectors."""
    widths: Widths = (512, 256)
    """Hidden layers of the encoder, and in reverse of the decoder."""
    learning_rate: PositiveFloat = 1e-3
    """Adam's learning rate."""


def build_networks(config: AutoencoderConfig, assets: Mapping[str, Any]) -> tuple[MLPEncoder, MLPGenerator]:
    """Return encoder and decoder with ReLU; the decoder's outputs have no activation.

    Raises:
      UserError: no latents.
    """
    encoder = MLPEncoder(config.latent_size, config.widths, activation=nn.relu)
    options = {"activation": nn.relu, "output_activation": None}
    return encoder, MLPGenerator(tuple(assets["image_shape"]), config.widths[::-1], **options)
