"""Options and values of VQ-VAEs, shared by experiments, and the data and model built from them."""

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Literal

import optax

from jaxgen.core.errors import UserError
from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import DepthFromZero, NonNegativeFloat, Rate, Size, within
from jaxgen.core.types import Assets
from jaxgen.data import Dataset
from jaxgen.data.binarization import binarized
from jaxgen.experiments._adam import AdamOptions
from jaxgen.experiments._digits import BINARIZATION_SEED
from jaxgen.experiments._images import with_data_variance
from jaxgen.experiments._likelihoods import LIKELIHOODS
from jaxgen.models.vq_vae import VQVAE
from jaxgen.networks.vq_conv import VQDecoder, VQEncoder
from jaxgen.training.config import TrainConfig

HALVINGS = 2


@dataclass(frozen=True)
class VQVAEOptions:
    """The loss of the networks."""

    likelihood: Literal["bernoulli", "squared_error", "discretised_logistic"] = "squared_error"
    """Likelihood of the pixels, whose parameters the decoder returns: bernoulli, of pixels binarized at random (those
    of test images once, with seed 0); squared_error, with a mean, where the error is divided by the variance of the
    data as in the paper's code; or discretised_logistic, of 256 levels, for bits per dimension."""
    commitment: NonNegativeFloat = 0.25
    """Weight of the commitment loss, the distance of the encoder's vectors from their codes."""


@dataclass(frozen=True)
class CodeOptions:
    """The codes that images consist of."""

    num_codes: Annotated[int, *within(2, 2**20)] = 512
    """Number of codes in the codebook."""
    code_size: Size = 64
    """Length of a code's vector."""


@dataclass(frozen=True)
class LearnedCodeOptions(CodeOptions):
    """The codes that images consist of, and how they are learned."""

    codebook: Literal["running_means", "gradient"] = "running_means"
    """How codes are learned: as running means of the vectors nearest to them, or by gradient."""
    decay: Rate = 0.99
    """Decay of the running means, and of the running counts of the codes' uses."""
    revive_below: NonNegativeFloat = 1.0
    """Number of uses per batch, in the running mean, below which a code of --codebook running_means is replaced by a
    vector of the batch. 0: no code is replaced."""


@dataclass(frozen=True)
class VQNetworkOptions:
    """The encoder and the decoder, which are convolutional."""

    width: Size = 32
    """Channels of the convolutions."""
    residual_width: Size = 32
    """Channels within the residual blocks."""
    residual_blocks: DepthFromZero = 2
    """Number of residual blocks of the encoder, and of the decoder."""


@dataclass(frozen=True)
class VQVAEConfig(TrainConfig):
    """Options of a VQ-VAE."""

    model: VQVAEOptions = VQVAEOptions()
    codes: LearnedCodeOptions = LearnedCodeOptions()
    network: VQNetworkOptions = VQNetworkOptions()
    optimizer: AdamOptions = AdamOptions()


OFTEN = {"steps_per_dispatch": 10, "eval_every": 1_000}
"""Values of a run of a few thousand slow steps."""
NARROW = {"width": 16, "residual_width": 16, "log_every": 20}
"""Values of the preset quick."""
PAPER = {"num_codes": 512, "code_size": 64, "width": 256, "residual_width": 256, "learning_rate": 2e-4}
"""Sizes of the paper, section 4.1, for an accelerator."""


def with_variance(model: VQVAEOptions, data: Dataset) -> Dataset:
    """Return `data`, binarized at random for binary pixels, with the variance of its first images in the assets."""
    data = with_data_variance(data)
    if model.likelihood == "bernoulli":
        data = binarized(data, seed=BINARIZATION_SEED, train=False)
    return data


def build_vq_vae(config: VQVAEConfig, assets: Assets) -> GenerativeModel:
    """Return a `VQVAE`: two convolutions of stride 2 and residual blocks each way, as in the paper's section 4.1.

    Raises:
      UserError: images that cannot be halved twice.
    """
    height, width, channels = assets["image_shape"]
    factor = 2**HALVINGS
    if height % factor or width % factor:
        raise UserError(f"A VQ-VAE takes images whose sides are multiples of {factor}, not {height}x{width}.")
    codes, likelihood = config.codes, LIKELIHOODS[config.model.likelihood](assets)
    sizes = {**dataclasses.asdict(config.network), "halvings": HALVINGS}
    return VQVAE(
        VQEncoder(codes.code_size, **sizes),
        VQDecoder(channels * likelihood.parameters_per_channel, **sizes),
        likelihood=likelihood,
        grid_shape=(height // factor, width // factor),
        optimizer=optax.adam(config.optimizer.learning_rate),
        commitment=config.model.commitment,
        **dataclasses.asdict(codes),
    ).model()
