"""A discrete VAE of emoji, the first stage of emoji_dalle (DALL-E: Ramesh et al. 2021, https://arxiv.org/abs/2102.12092).

    python -m jaxgen.experiments.emoji_dvae
    python -m jaxgen.experiments.emoji_dvae --data path/to/images
    jaxgen latent runs/emoji_dvae/001 reconstruct
    python -m jaxgen.experiments.emoji_dalle --first-stage runs/emoji_dvae/001

Codes are drawn by the Gumbel-softmax relaxation, whose temperature falls along a cosine while the weight of the
divergence from the uniform prior rises. eval/discrete_vae/elbo is a bound of log p(x) of held-out emoji, in nats of a
density. An epoch is 54 steps of 64 emoji.

The preset full is the paper's network of 256x256 pixels, with its schedules of temperature and divergence; the learning
rate falls between the paper's values over all 3,000,000 steps, where the paper's falls over the first 1,200,000.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import flax.linen as nn

from jaxgen.core.errors import UserError
from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import CountFromZero, Depth, NonNegativeFloat, PositiveFloat, Size, within
from jaxgen.core.types import Assets
from jaxgen.data import Dataset
from jaxgen.experiments._adamw import AveragedAdamWOptions, optimizer_of
from jaxgen.experiments._images import ImageOptions, load_images, with_data_variance
from jaxgen.experiments._likelihoods import LIKELIHOODS
from jaxgen.experiments._vq_vae import NARROW, OFTEN, CodeOptions
from jaxgen.models.discrete_vae import DiscreteVAE, cosine_between
from jaxgen.networks.dvae import DVAEDecoder, DVAEEncoder
from jaxgen.networks.vq_conv import VQDecoder, VQEncoder
from jaxgen.runs.experiment import Experiment
from jaxgen.training.config import TrainConfig


@dataclass(frozen=True)
class DVAEOptions:
    """The bound that the networks are trained on."""

    likelihood: Literal["logit_laplace", "squared_error", "discretised_logistic"] = "logit_laplace"
    """Likelihood of the pixels, whose parameters the decoder returns: logit_laplace, the paper's; squared_error, with a
    mean, where the error is divided by the variance of the data; or discretised_logistic, of 256 levels."""
    first_temperature: PositiveFloat = 1.0
    """Temperature of the relaxation at the first step."""
    last_temperature: PositiveFloat = 0.0625
    """Temperature of the relaxation at the end of its decay."""
    temperature_steps: CountFromZero = 3_000
    """Number of steps over which the temperature of the relaxation falls along a cosine."""
    kl_weight: NonNegativeFloat = 1.0
    """Weight of the divergence from the uniform prior, after its warm-up; 1 is the evidence lower bound, and the paper
    has 6.6."""
    kl_warmup_steps: CountFromZero = 1_000
    """Number of steps over which the weight of the divergence from the uniform prior rises from 0 along a cosine."""


@dataclass(frozen=True)
class NetworkOptions:
    """The encoder and the decoder."""

    network: Literal["strided", "dalle"] = "strided"
    """Kind of the encoder and decoder: those of the VQ-VAE (strided), or those of DALL-E (dalle)."""
    halvings: Annotated[int, *within(1, 16)] = 2
    """Number of times that the size of images is halved to that of the grid of codes."""
    width: Annotated[int, *within(4, 2**16)] = 64
    """Channels of the convolutions of strided, or of dalle at full size."""
    residual_width: Size = 64
    """Channels within the residual blocks of strided."""
    residual_blocks: Depth = 2
    """Number of residual blocks of strided in the encoder and in the decoder, or of dalle at each size."""


@dataclass(frozen=True)
class Config(TrainConfig):
    """Options of emoji_dvae."""

    data: ImageOptions = ImageOptions()
    model: DVAEOptions = DVAEOptions()
    codes: CodeOptions = CodeOptions()
    network: NetworkOptions = NetworkOptions()
    optimizer: AveragedAdamWOptions = AveragedAdamWOptions()


DEFAULT = Config().replace(**OFTEN, steps=4_000, batch_size=64, num_codes=256, code_size=64, weight_decay=1e-4)


def load_data(config: Config) -> Dataset:
    """Load the images named by --data, with their variance."""
    return with_data_variance(load_images(config.data))


def build_model(config: Config, assets: Assets) -> GenerativeModel:
    """Return a `DiscreteVAE`.

    Raises:
      UserError: a number out of range, or images that cannot be halved --halvings times.
    """
    model, codes, halvings = config.model, config.codes, config.network.halvings
    height, width, channels = assets["image_shape"]
    factor = 2**halvings
    if height % factor or width % factor:
        raise UserError(f"With --halvings {halvings} sides must be multiples of {factor}, not {height}x{width}.")
    likelihood = LIKELIHOODS[model.likelihood](assets)
    return DiscreteVAE(
        *networks_of(config.network, codes.num_codes, channels * likelihood.parameters_per_channel),
        likelihood=likelihood,
        num_codes=codes.num_codes,
        code_size=codes.code_size,
        grid_shape=(height // factor, width // factor),
        optimizer=optimizer_of(config.optimizer, config.run),
        temperature=cosine_between(model.first_temperature, model.last_temperature, model.temperature_steps),
        kl_weight=cosine_between(0.0, model.kl_weight, model.kl_warmup_steps),
        ema_decay=config.optimizer.ema_decay,
    ).model()


def networks_of(options: NetworkOptions, num_codes: int, num_outputs: int) -> tuple[nn.Module, nn.Module]:
    """Return the encoder and the decoder."""
    if options.network == "dalle":
        sizes = (options.width, options.halvings + 1, options.residual_blocks)
        return DVAEEncoder(num_codes, *sizes), DVAEDecoder(num_outputs, *sizes)
    sizes = {name: getattr(options, name) for name in ("width", "residual_width", "residual_blocks", "halvings")}
    return VQEncoder(num_codes, **sizes), VQDecoder(num_outputs, **sizes)


EXPERIMENT = Experiment(
    file=__file__,
    family="discrete codes",
    summary="discrete VAE, first stage of emoji_dalle",
    data="emoji, --data ...",
    expected_time="54 min on 1 busy CPU core",
    presets={
        "quick": DEFAULT.replace(
            **NARROW,
            steps=100,
            num_codes=32,
            temperature_steps=80,
            kl_warmup_steps=20,
            sample_every=50,
            checkpoint_every=50,
        ),
        "default": DEFAULT,
        "full": DEFAULT.replace(
            steps=3_000_000,
            batch_size=512,
            steps_per_dispatch=50,
            image_size=256,
            network="dalle",
            halvings=3,
            num_codes=8_192,
            code_size=128,
            width=256,
            temperature_steps=150_000,
            kl_weight=6.6,
            kl_warmup_steps=5_000,
            learning_rate=1e-4,
            min_learning_rate=1.25e-6,
            beta2=0.999,
            clip_norm=None,
            checkpoint_every=10_000,
            sample_every=10_000,
            eval_every=10_000,
        ),
    },
    load_data=load_data,
    build_model=build_model,
)


if __name__ == "__main__":
    EXPERIMENT.main()
