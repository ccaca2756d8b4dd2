"""The options of the experiments with VQ-VAEs, and how they become data and a model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import optax

from jaxgen.core.errors import UserError
from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import Count, CountFromZero, DepthFromZero, NonNegativeFloat, PositiveFloat, Rate, Size, within
from jaxgen.data import Dataset
from jaxgen.data.binarization import binarized
from jaxgen.experiments._images import with_data_variance
from jaxgen.experiments._vae import BINARIZATION_SEED, LIKELIHOODS
from jaxgen.models.likelihoods import PixelLikelihood, scaled_squared_error
from jaxgen.models.vq_vae import VQVAE
from jaxgen.networks.vq_conv import VQDecoder, VQEncoder
from jaxgen.training.config import TrainConfig

HALVINGS = 2


@dataclass(frozen=True)
class VQVAEConfig(TrainConfig):
    """Options of a VQ-VAE."""

    steps_per_dispatch: Count = 10
    """Steps run on the device between two returns to Python (results do not depend on it)."""
    likelihood: Literal["bernoulli", "squared_error", "discretised_logistic"] = "squared_error"
    """What the decoder gives the parameters of. bernoulli: pixels made binary by chance, the test images once (seed 0).
    squared_error: a mean; the error is divided by the variance of the data, as in the paper's code.
    discretised_logistic: 256 levels, for bits per dimension."""
    num_codes: Annotated[int, *within(2, 2**20)] = 128
    """Codes in the code book."""
    code_size: Size = 32
    """Length of a code."""
    width: Size = 32
    """Channels of the convolutions."""
    residual_width: Size = 32
    """Channels within the residual blocks."""
    residual_blocks: DepthFromZero = 2
    """How many there are, in the encoder and in the decoder."""
    commitment: NonNegativeFloat = 0.25
    """Weight of the distance of the encoder's vectors from their codes."""
    codebook: Literal["running_means", "gradient"] = "running_means"
    """Codes are running means of the vectors that chose them, or learned by gradient."""
    decay: Rate = 0.99
    """Of the running means and counts."""
    revive_below: NonNegativeFloat = 1.0
    """With running_means: codes used less often in a batch become vectors of the batch. 0: they never do."""
    learning_rate: PositiveFloat = 1e-3
    """Adam's learning rate."""
    eval_every: CountFromZero = 1_000
    """Steps between evaluations on the held-out examples. 0: only at the end."""


PAPER = {"num_codes": 512, "code_size": 64, "width": 256, "residual_width": 256, "learning_rate": 2e-4}
"""Sizes of the paper, section 4.1, for an accelerator."""


def with_variance(config: VQVAEConfig, data: Dataset) -> Dataset:
    """`data`, made binary by chance for binary pixels; the variance of its first images goes to the assets."""
    data = with_data_variance(data)
    if config.likelihood == "bernoulli":
        data = binarized(data, seed=BINARIZATION_SEED, train=False)
    return data


def build_vq_vae(config: VQVAEConfig, assets: Mapping[str, Any]) -> GenerativeModel:
    """Return a `VQVAE`: two convolutions of stride 2 and residual blocks each way, as in the paper's section 4.1.

    Raises:
      UserError: images that cannot be halved twice.
    """
    height, width, channels = assets["image_shape"]
    factor = 2**HALVINGS
    if height % factor or width % factor:
        raise UserError(f"A VQ-VAE takes images whose sides are multiples of {factor}, not {height}x{width}.")
    likelihood = _likelihood(config, assets)
    sizes = {
        "width": config.width,
        "residual_width": config.residual_width,
        "residual_blocks": config.residual_blocks,
        "halvings": HALVINGS,
    }
    return VQVAE(
        VQEncoder(config.code_size, **sizes),
        VQDecoder(channels * likelihood.parameters_per_channel, **sizes),
        likelihood=likelihood,
        num_codes=config.num_codes,
        code_size=config.code_size,
        grid_shape=(height // factor, width // factor),
        optimizer=optax.adam(config.learning_rate),
        commitment=config.commitment,
        codebook=config.codebook,
        decay=config.decay,
        revive_below=config.revive_below,
    ).model()


def _likelihood(config: VQVAEConfig, assets: Mapping[str, Any]) -> PixelLikelihood:
    if config.likelihood == "squared_error":
        return scaled_squared_error(assets["data_variance"])
    return LIKELIHOODS[config.likelihood]()
