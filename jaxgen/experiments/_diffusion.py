"""The options of the experiments with diffusion models, and how they become a model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import flax.linen as nn

from jaxgen.core.errors import UserError
from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import (
    Count,
    CountFromZero,
    Depth,
    DepthFromZero,
    ImageSize,
    Length,
    NonNegativeFloat,
    Rate,
    Size,
    within,
)
from jaxgen.data import Dataset
from jaxgen.experiments._adamw import AdamWConfig, optimizer_of
from jaxgen.experiments._images import ImagesConfig, load_images, with_data_variance
from jaxgen.models.diffusion.condition_sources import ConditionSource, class_condition
from jaxgen.models.diffusion.noise_levels import NoiseLevels, cosine_betas, flow_times, linear_betas, lognormal
from jaxgen.models.diffusion.preconditioning import PREDICTIONS, edm
from jaxgen.models.diffusion.samplers import SAMPLERS
from jaxgen.models.diffusion.spec import Diffusion
from jaxgen.networks.dit import DiT
from jaxgen.networks.text_encoder import TextTransformer
from jaxgen.networks.unet import UNet

EDM = "edm"
SamplerName = Literal[tuple(SAMPLERS)]
QUICK = {"width": 16, "blocks": 1, "head_width": 16, "sampling_steps": 6}
"""Sizes of the preset quick."""


@dataclass(frozen=True)
class DiffusionConfig(AdamWConfig):
    """Options of a diffusion model."""

    steps: Count = 6_000
    """How many training steps the run has in all."""
    batch_size: Count = 64
    """Examples per step, over all devices together."""
    log_every: CountFromZero = 50
    """Steps between lines of metrics.jsonl (means over those steps). 0: only at the end."""
    sample_every: CountFromZero = 1_000
    """Steps between sample sheets, always of the same latents. 0: only at the end."""
    checkpoint_every: CountFromZero = 500
    """Steps between checkpoints; one is always kept at the end. 0: only at the end."""
    eval_every: CountFromZero = 1_000
    """Steps between evaluations on the held-out examples. 0: only at the end."""
    steps_per_dispatch: Count = 10
    """Steps run on the device between two returns to Python (results do not depend on it)."""
    prediction: Literal["edm", "epsilon", "x0", "v", "flow"] = EDM
    """What the network predicts: EDM's mixture of image and noise, the noise, the image, v, or a flow's velocity."""
    noise_levels: Literal["lognormal", "linear", "cosine", "flow", "logit_normal"] = "lognormal"
    """Noise levels of training and of samplers: EDM's, those of DDPM's linear or cosine betas, or
    those of a flow whose times are uniform or logit-normal."""
    level_mean: Annotated[float, *within(-20, 20)] = -1.2
    """Mean of log sigma in training (EDM's P_mean), of lognormal noise levels; the higher, the more shapes count."""
    level_deviation: Annotated[float, *within(0, 20)] = 1.2
    """Standard deviation of log sigma in training (EDM's P_std), of lognormal noise levels."""
    conditional: bool = True
    """Learns the images of each class, where the data have classes, or of each caption."""
    condition_dropout: Rate = 0.1
    """How often class or caption is left out in training, so that --guidance has something to compare with."""
    network: Literal["unet", "dit"] = "unet"
    """A U-Net, or a transformer over patches."""
    width: Size = 32
    """Channels: of the U-Net at its first size, or of the transformer."""
    patch_size: Size = 2
    """Images are taken as patches of this side."""
    factors: Annotated[tuple[Size, ...], Length(1, 16)] = (1, 2)
    """Of the U-Net: how many times --width at each size, each half the one before."""
    blocks: Depth = 2
    """Residual blocks of the U-Net at each size on the way down, or blocks of the transformer."""
    middle_blocks: DepthFromZero = 1
    """Residual blocks of the U-Net between its way down and its way up; 2, with attention between: as published."""
    attention_sizes: Annotated[tuple[ImageSize, ...], Length(0, 16)] = (7, 8)
    """Of the U-Net: the sizes of maps with self-attention."""
    head_width: Size = 32
    """Channels of a head of attention."""
    dropout: Rate = 0.0
    """Dropout rate in the blocks."""
    weight_decay: NonNegativeFloat = 0.0
    """AdamW's weight decay, of matrices only: not of biases and norms."""
    min_learning_rate: NonNegativeFloat = 1e-5
    """Learning rate at the end of the cosine decay."""
    ema_decay: Rate | None = 0.999
    """Decay of the moving average of the weights that evaluation and samples use, once it is warm. None: no average."""
    sampler: SamplerName = "heun"
    """How samples are drawn: DDPM's own steps, DDIM's, Euler's, Heun's, EDM's with noise, or DPM-Solver++ (2M)."""
    sampling_steps: Annotated[int, *within(1, 100_000)] = 18
    """How many steps the sampler takes; each is one pass of the network, of heun and stochastic_heun two."""
    guidance: NonNegativeFloat = 1.0
    """How far samples go toward their class or caption, from what images are like without (0) to it (1) and beyond."""


@dataclass(frozen=True)
class ShapesFirst:
    """What a config of small pictures gets by naming this before the class of its other options: noise levels at which
    shapes are decided, and steps whose noise mends them (experiments/mnist_diffusion has the comparison)."""

    level_mean: Annotated[float, *within(-20, 20)] = -0.4
    """Mean of log sigma in training (EDM's P_mean), of lognormal noise levels; the higher, the more shapes count."""
    sampler: SamplerName = "ancestral"
    """How samples are drawn: DDPM's own steps, DDIM's, Euler's, Heun's, EDM's with noise, or DPM-Solver++ (2M)."""
    sampling_steps: Annotated[int, *within(1, 100_000)] = 50
    """How many steps the sampler takes; each is one pass of the network, of heun and stochastic_heun two."""


@dataclass(frozen=True)
class ImageDiffusionConfig(ImagesConfig, DiffusionConfig):
    """Options of a diffusion model of any images."""


def load_diffusion_images(config: ImageDiffusionConfig) -> Dataset:
    """Load the images named by --data, with what EDM needs to know of them."""
    return with_data_variance(load_images(config))


def build_diffusion(
    config: DiffusionConfig,
    assets: Mapping[str, Any],
    *,
    condition: ConditionSource | None = None,
    text: TextTransformer | None = None,
) -> GenerativeModel:
    """Return the diffusion model of a config.

    Args:
      condition: what images are drawn for; None: the data's classes, if they have some.
      text: of a condition that is captions, what reads them.

    Raises:
      UserError: a number out of range.
    """
    classes = assets.get("class_names") if config.conditional and text is None else None
    if classes:
        condition = class_condition(len(classes))
    shape = tuple(assets["image_shape"])
    return Diffusion(
        network_of(config, shape[-1], len(classes) if classes else None, None if condition is None else text),
        image_shape=shape,
        preconditioning=edm(assets["data_variance"] ** 0.5)
        if config.prediction == EDM
        else PREDICTIONS[config.prediction],
        noise_levels=noise_levels_of(config),
        optimizer=optimizer_of(config),
        condition=condition,
        condition_dropout=config.condition_dropout,
        guidance=1.0 if condition is None else config.guidance,
        sampler=config.sampler,
        sampling_steps=config.sampling_steps,
        ema_decay=config.ema_decay,
        micro_batches=config.micro_batches,
    ).model()


def noise_levels_of(config: DiffusionConfig) -> NoiseLevels:
    """Return those that --noise-levels names."""
    return {
        "lognormal": lambda: lognormal(config.level_mean, config.level_deviation),
        "linear": linear_betas,
        "cosine": cosine_betas,
        "flow": flow_times,
        "logit_normal": lambda: flow_times(logit_normal=True),
    }[config.noise_levels]()


def network_of(
    config: DiffusionConfig, channels: int, num_classes: int | None, text: TextTransformer | None = None
) -> nn.Module:
    """Return the U-Net or the transformer; `text` is of the U-Net alone.

    Raises:
      UserError: heads that do not divide the channels, or a transformer whose positions do not fit its width.
    """
    shared = {
        "channels": channels,
        "width": config.width,
        "patch_size": config.patch_size,
        "dropout": config.dropout,
        "num_classes": num_classes,
    }
    factors = (1,) if config.network == "dit" else config.factors
    if any(config.width * factor % config.head_width for factor in factors) and (
        config.network == "dit" or config.attention_sizes
    ):
        raise UserError(f"--head-width {config.head_width} must divide --width {config.width} times each of --factors.")
    if config.network == "dit":
        if config.width % 4:
            raise UserError(f"--width {config.width} must be a multiple of 4 with --network dit.")
        return DiT(layers=config.blocks, heads=config.width // config.head_width, **shared)
    return UNet(
        factors=factors,
        blocks=config.blocks,
        middle_blocks=config.middle_blocks,
        attention_sizes=config.attention_sizes,
        head_width=config.head_width,
        text=text,
        **shared,
    )
