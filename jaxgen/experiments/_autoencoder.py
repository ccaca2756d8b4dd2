"""Options and values of autoencoders of MNIST, shared by experiments, and the networks built from them."""

from dataclasses import dataclass
from typing import Literal

import flax.linen as nn

from jaxgen.core.options import Widths
from jaxgen.core.types import Assets
from jaxgen.experiments._digits import EPOCH
from jaxgen.experiments._latents import LatentOptions
from jaxgen.models.autoencoder import RECONSTRUCTIONS
from jaxgen.networks.mlp import MLPEncoder, MLPGenerator


@dataclass(frozen=True)
class AutoencoderOptions(LatentOptions):
    """The latents, and how images are reconstructed from them."""

    reconstruction: Literal[tuple(RECONSTRUCTIONS)] = "cross_entropy"
    """Reconstruction loss: squared error of values in [-1, 1] (mse), or cross-entropy of values in [0, 1], in nats;
    both are means over the pixels."""


@dataclass(frozen=True)
class FullyConnectedOptions:
    """The networks."""

    widths: Widths = (512, 256)
    """Widths of the fully connected encoder's hidden layers; the decoder's are the same in reverse."""


QUICK = {"steps": 2 * EPOCH, "sample_every": EPOCH, "checkpoint_every": EPOCH}
"""Values of the preset quick."""


def build_networks(
    model: AutoencoderOptions, network: FullyConnectedOptions, assets: Assets
) -> tuple[MLPEncoder, MLPGenerator]:
    """Return encoder and decoder with ReLU; the decoder's outputs have no activation."""
    encoder = MLPEncoder(model.latent_size, network.widths, activation=nn.relu)
    options = {"activation": nn.relu, "output_activation": None}
    return encoder, MLPGenerator(tuple(assets["image_shape"]), network.widths[::-1], **options)
