"""Options and values of diffusion models, shared by experiments, and the model built from them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

import flax.linen as nn

from jaxgen.core.errors import UserError
from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import (
    Depth,
    DepthFromZero,
    ImageSize,
    Length,
    Rate,
    Size,
    within,
)
from jaxgen.core.types import Assets
from jaxgen.data import Dataset
from jaxgen.experiments._adamw import AveragedAdamWOptions, optimizer_of
from jaxgen.experiments._guidance import GuidanceOptions
from jaxgen.experiments._images import ImageOptions, load_images, with_data_variance
from jaxgen.models.diffusion.condition_sources import ConditionSource, class_condition
from jaxgen.models.diffusion.noise_levels import NoiseLevels, cosine_betas, flow_times, linear_betas, lognormal
from jaxgen.models.diffusion.preconditioning import PREDICTIONS, edm
from jaxgen.models.diffusion.samplers import SAMPLERS
from jaxgen.models.diffusion.spec import Diffusion
from jaxgen.networks.dit import DiT
from jaxgen.networks.text_encoder import TextTransformer
from jaxgen.networks.unet import UNet
from jaxgen.training.config import TrainConfig

EDM = "edm"
Prediction = Literal[(EDM, *PREDICTIONS)]
SamplerName = Literal[tuple(SAMPLERS)]
NETWORKS = ("unet", "dit")
NOISE_LEVELS: dict[str, Callable[["DiffusionOptions"], NoiseLevels]] = {
    "lognormal": lambda options: lognormal(options.level_mean, options.level_deviation),
    "linear": lambda options: linear_betas(),
    "cosine": lambda options: cosine_betas(),
    "flow": lambda options: flow_times(),
    "logit_normal": lambda options: flow_times(logit_normal=True),
}


@dataclass(frozen=True)
class DiffusionOptions:
    """The network's prediction, its noise levels and its condition."""

    prediction: Prediction = EDM
    """What the network predicts: EDM's mixture of image and noise, the noise, the image, v, or a flow's velocity."""
    noise_levels: Literal[tuple(NOISE_LEVELS)] = "lognormal"
    """Noise levels of training and of samplers: EDM's lognormal ones, those of DDPM's linear or cosine betas, or those
    of a flow whose times are uniform or logit-normal."""
    level_mean: Annotated[float, *within(-20, 20)] = -1.2
    """Mean of log sigma in training (EDM's P_mean), for lognormal noise levels; a higher mean weights shapes
    more."""
    level_deviation: Annotated[float, *within(0, 20)] = 1.2
    """Standard deviation of log sigma in training (EDM's P_std), for lognormal noise levels."""
    conditional: bool = True
    """Condition on the class, if the data have classes, or on the caption."""
    condition_dropout: Rate = 0.1
    """Probability that class or caption is left out in training, which --guidance needs."""


@dataclass(frozen=True)
class SamplerOptions(GuidanceOptions):
    """How samples are drawn; the commands can override these options."""

    sampler: SamplerName = "heun"
    """Sampler: DDPM's own steps, DDIM's, Euler's, Heun's, EDM's with noise, or DPM-Solver++ (2M)."""
    sampling_steps: Annotated[int, *within(1, 100_000)] = 18
    """Number of steps of the sampler; each is one pass of the network (two for heun and stochastic_heun)."""


@dataclass(frozen=True)
class DenoiserOptions:
    """The network that removes noise."""

    network: Literal[NETWORKS] = "unet"
    """Kind of the network: a U-Net, or a transformer over patches."""
    width: Size = 32
    """Channels of the U-Net at its first size, or of the transformer."""
    patch_size: Size = 2
    """Side of the patches into which images are divided, in pixels."""
    factors: Annotated[tuple[Size, ...], Length(1, 16)] = (1, 2)
    """Channels of the U-Net at each size as multiples of --width; each size is half the one before."""
    blocks: Depth = 2
    """Number of residual blocks of the U-Net at each size on the way down, or of blocks of the transformer."""
    middle_blocks: DepthFromZero = 1
    """Number of residual blocks of the U-Net between its way down and its way up; published U-Nets have 2, with
    attention between them."""
    attention_sizes: Annotated[tuple[ImageSize, ...], Length(0, 16)] = (7, 8)
    """Sizes of the U-Net's maps that have self-attention."""
    head_width: Size = 32
    """Channels of each head of attention."""
    dropout: Rate = 0.0
    """Dropout rate in the blocks."""


@dataclass(frozen=True)
class DiffusionConfig(TrainConfig):
    """Options of a diffusion model."""

    model: DiffusionOptions = DiffusionOptions()
    sampling: SamplerOptions = SamplerOptions()
    network: DenoiserOptions = DenoiserOptions()
    optimizer: AveragedAdamWOptions = AveragedAdamWOptions(weight_decay=0.0, min_learning_rate=1e-5)


@dataclass(frozen=True)
class ImageDiffusionConfig(DiffusionConfig):
    """Options of a diffusion model of any images."""

    data: ImageOptions = ImageOptions()


DIFFUSION = {
    "steps": 6_000,
    "batch_size": 64,
    "steps_per_dispatch": 10,
    "log_every": 50,
    "checkpoint_every": 500,
    "eval_every": 1_000,
}
"""Values of a diffusion model that learns on a CPU."""
SHAPES_FIRST = {"level_mean": -0.4, "sampler": "ancestral", "sampling_steps": 50}
"""Values for small pictures: noise levels that decide shapes, and sampling steps whose noise corrects them
(experiments/mnist_diffusion has the comparison)."""
QUICK = {"width": 16, "blocks": 1, "head_width": 16, "sampling_steps": 6}
"""Sizes of the preset quick."""


def load_diffusion_images(config: ImageDiffusionConfig) -> Dataset:
    """Load the images named by --data, with the variance that EDM needs."""
    return with_data_variance(load_images(config.data))


def build_diffusion(
    config: DiffusionConfig,
    assets: Assets,
    *,
    condition: ConditionSource | None = None,
    text: TextTransformer | None = None,
) -> GenerativeModel:
    """Return the diffusion model of a config.

    Args:
      condition: the source of conditions; None: the data's classes, if they have any.
      text: the network that reads captions, if the condition is captions.

    Raises:
      UserError: a number out of range.
    """
    classes = assets.get("class_names") if config.model.conditional and text is None else None
    if classes:
        condition = class_condition(len(classes))
    shape = tuple(assets["image_shape"])
    return Diffusion(
        network_of(config.network, shape[-1], len(classes) if classes else None, None if condition is None else text),
        image_shape=shape,
        preconditioning=edm(assets["data_variance"] ** 0.5)
        if config.model.prediction == EDM
        else PREDICTIONS[config.model.prediction],
        noise_levels=NOISE_LEVELS[config.model.noise_levels](config.model),
        optimizer=optimizer_of(config.optimizer, config.run),
        condition=condition,
        condition_dropout=config.model.condition_dropout,
        guidance=1.0 if condition is None else config.sampling.guidance,
        sampler=config.sampling.sampler,
        sampling_steps=config.sampling.sampling_steps,
        ema_decay=config.optimizer.ema_decay,
        micro_batches=config.optimizer.micro_batches,
    ).model()


def network_of(
    options: DenoiserOptions, channels: int, num_classes: int | None, text: TextTransformer | None = None
) -> nn.Module:
    """Return the U-Net or the transformer; only the U-Net takes `text`.

    Raises:
      UserError: heads that do not divide the channels, or a transformer whose positions do not fit its width.
    """
    shared = {
        "channels": channels,
        "width": options.width,
        "patch_size": options.patch_size,
        "dropout": options.dropout,
        "num_classes": num_classes,
    }
    factors = (1,) if options.network == "dit" else options.factors
    if any(options.width * factor % options.head_width for factor in factors) and (
        options.network == "dit" or options.attention_sizes
    ):
        raise UserError(
            f"--head-width {options.head_width} must divide --width {options.width} times each of --factors."
        )
    if options.network == "dit":
        if options.width % 4:
            raise UserError(f"--width {options.width} must be a multiple of 4 with --network dit.")
        return DiT(layers=options.blocks, heads=options.width // options.head_width, **shared)
    return UNet(
        factors=factors,
        blocks=options.blocks,
        middle_blocks=options.middle_blocks,
        attention_sizes=options.attention_sizes,
        head_width=options.head_width,
        text=text,
        **shared,
    )
