"""A discrete VAE of emoji, the first stage of emoji_dalle (DALL-E: Ramesh et al. 2021, https://arxiv.org/abs/2102.12092).

    python -m jaxgen.experiments.emoji_dvae
    python -m jaxgen.experiments.emoji_dvae --data path/to/images
    jaxgen latent runs/emoji_dvae/001 reconstruct
    python -m jaxgen.experiments.emoji_dalle --first-stage runs/emoji_dvae/001

Codes are drawn by the Gumbel-softmax relaxation, whose temperature falls along a cosine while the weight of the
divergence from the uniform prior rises. eval/discrete_vae/elbo is a bound of log p(x) of held-out emoji in nats of a
density.

The preset full is the paper's network of 256x256 pixels, with its schedules of temperature and divergence; the learning
rate falls between the paper's ends over all 3,000,000 steps, where that falls over the first 1,200,000.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import flax.linen as nn

from jaxgen.core.errors import UserError
from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import Count, CountFromZero, Depth, NonNegativeFloat, PositiveFloat, Rate, Size, within
from jaxgen.data import Dataset
from jaxgen.experiments._adamw import AdamWConfig, optimizer_of
from jaxgen.experiments._images import ImagesConfig, load_images, with_data_variance
from jaxgen.models.discrete_vae import DiscreteVAE, cosine_between
from jaxgen.models.likelihoods import discretized_logistic, logit_laplace, scaled_squared_error
from jaxgen.networks.dvae import DVAEDecoder, DVAEEncoder
from jaxgen.networks.vq_conv import VQDecoder, VQEncoder
from jaxgen.runs.experiment import Experiment


@dataclass(frozen=True)
class Config(ImagesConfig, AdamWConfig):
    """Options of emoji_dvae."""

    steps: Count = 4_000
    """How many training steps the run has in all (54 are one epoch with --batch-size 64)."""
    batch_size: Count = 64
    """Examples per step, over all devices together."""
    steps_per_dispatch: Count = 10
    """Steps run on the device between two returns to Python (results do not depend on it)."""
    eval_every: CountFromZero = 1_000
    """Steps between evaluations on the held-out examples. 0: only at the end."""
    likelihood: Literal["logit_laplace", "squared_error", "discretised_logistic"] = "logit_laplace"
    """What the decoder gives the parameters of: the paper's; a mean, the error divided by the variance of the data; or
    256 levels."""
    network: Literal["strided", "dalle"] = "strided"
    """The encoder and decoder of the VQ-VAE, or those of DALL-E."""
    halvings: Annotated[int, *within(1, 16)] = 2
    """How often the grid of codes is half the size of the images."""
    num_codes: Annotated[int, *within(2, 2**20)] = 256
    """Codes in the code book."""
    code_size: Size = 64
    """Length of a code's vector."""
    width: Annotated[int, *within(4, 2**16)] = 64
    """Channels: of the convolutions, or, of dalle, at full size."""
    residual_width: Size = 64
    """Of the VQ-VAE's networks: channels within the residual blocks."""
    residual_blocks: Depth = 2
    """Residual blocks: of the VQ-VAE's networks, or, of dalle, at each size."""
    first_temperature: PositiveFloat = 1.0
    """Temperature of the relaxation at the first step."""
    last_temperature: PositiveFloat = 0.0625
    """Temperature of the relaxation at the end of its decay."""
    temperature_steps: CountFromZero = 3_000
    """after so many steps."""
    kl_weight: NonNegativeFloat = 1.0
    """Weight of the divergence from the uniform prior, in the end; 1 is the evidence bound, the paper's is 6.6."""
    kl_warmup_steps: CountFromZero = 1_000
    """Over so many steps it rises from 0."""
    weight_decay: NonNegativeFloat = 1e-4
    """AdamW's weight decay, of matrices only: not of biases and norms."""
    ema_decay: Rate | None = 0.999
    """Decay of the moving average of the weights that evaluation and codes use, once it is warm. None: no average."""


def load_data(config: Config) -> Dataset:
    """The images named by --data, with their variance."""
    return with_data_variance(load_images(config))


def build_model(config: Config, assets: Mapping[str, Any]) -> GenerativeModel:
    """Return a `DiscreteVAE`.

    Raises:
      UserError: a number out of range, or images that cannot be halved as often.
    """
    height, width, channels = assets["image_shape"]
    factor = 2**config.halvings
    if height % factor or width % factor:
        raise UserError(f"With --halvings {config.halvings} sides must be multiples of {factor}, not {height}x{width}.")
    likelihood = {
        "logit_laplace": logit_laplace,
        "squared_error": lambda: scaled_squared_error(assets["data_variance"]),
        "discretised_logistic": discretized_logistic,
    }[config.likelihood]()
    return DiscreteVAE(
        *networks_of(config, channels * likelihood.parameters_per_channel),
        likelihood=likelihood,
        num_codes=config.num_codes,
        code_size=config.code_size,
        grid_shape=(height // factor, width // factor),
        optimizer=optimizer_of(config),
        temperature=cosine_between(config.first_temperature, config.last_temperature, config.temperature_steps),
        kl_weight=cosine_between(0.0, config.kl_weight, config.kl_warmup_steps),
        ema_decay=config.ema_decay,
    ).model()


def networks_of(config: Config, num_outputs: int) -> tuple[nn.Module, nn.Module]:
    """The encoder and the decoder."""
    if config.network == "dalle":
        sizes = {"width": config.width, "groups": config.halvings + 1, "blocks": config.residual_blocks}
        return DVAEEncoder(config.num_codes, **sizes), DVAEDecoder(num_outputs, **sizes)
    sizes = {name: getattr(config, name) for name in ("width", "residual_width", "residual_blocks", "halvings")}
    return VQEncoder(config.num_codes, **sizes), VQDecoder(num_outputs, **sizes)


EXPERIMENT = Experiment(
    file=__file__,
    family="discrete codes",
    summary="discrete VAE, first stage of emoji_dalle",
    data="emoji, --data ...",
    expected_time="54 min on 1 busy CPU core",
    presets={
        "quick": Config(
            steps=100,
            num_codes=32,
            width=16,
            residual_width=16,
            temperature_steps=80,
            kl_warmup_steps=20,
            sample_every=50,
            checkpoint_every=50,
            log_every=20,
        ),
        "default": Config(),
        "full": Config(
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
