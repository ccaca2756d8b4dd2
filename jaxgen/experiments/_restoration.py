"""The options of the experiments that restore images, and how they become a model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import flax.linen as nn
import optax

from jaxgen.core.errors import UserError
from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import (
    Count,
    CountFromZero,
    DepthFromZero,
    NonNegativeFloat,
    PositiveFloat,
    Rate,
    Size,
    Text,
    within,
)
from jaxgen.experiments._gan import Loss
from jaxgen.experiments._scored import GreatestIsBest
from jaxgen.metrics.extractors import efficientnet_maps
from jaxgen.metrics.restoration import WINDOW_SIZE
from jaxgen.models.image_to_image import (
    Adversary,
    Degradation,
    PerceptualLoss,
    Restoration,
    colorization,
    deblurring,
    denoising,
    inpainting,
    super_resolution,
)
from jaxgen.networks.super_resolution import SRDiscriminator, SRResNet
from jaxgen.networks.translators import PatchDiscriminator, ResNetTranslator, UNetTranslator
from jaxgen.training.config import TrainConfig

PERCEPTUAL_MAPS = (1, 3)
"""Which of EfficientNet-Lite0's maps are compared: after the first stage and the third, at a half and an eighth of the
size."""


@dataclass(frozen=True)
class RestorationConfig(GreatestIsBest, TrainConfig):
    """Options of a model that restores images."""

    best_metric: Text | None = "eval/generator/psnr"
    """Keep in checkpoints_best/ the checkpoint with the best value of this evaluation metric."""
    steps: Count = 4_000
    """How many training steps the run has in all."""
    eval_every: CountFromZero = 500
    """Steps between evaluations on the held-out examples. 0: only at the end."""
    sample_every: CountFromZero = 500
    """Steps between sheets: what is given restored without a network, by it, and the image. 0: only at the end."""
    checkpoint_every: CountFromZero = 500
    """Steps between checkpoints; one is always kept at the end. 0: only at the end."""
    steps_per_dispatch: Count = 10
    """Steps run on the device between two returns to Python (results do not depend on it)."""
    degradation: Literal["super_resolution", "denoising", "deblurring", "inpainting", "colourisation"] = (
        "super_resolution"
    )
    """What is taken from the images (jaxgen.models.image_to_image.degradations says how)."""
    factor: Literal[2, 4] = 2
    """Of super_resolution: 2 or 4 times."""
    noise_level: PositiveFloat = 25.0
    """Of denoising: the standard deviation, in units of 0..255."""
    blur: Annotated[float, *within(0, 64, low_open=True)] = 1.6
    """Of deblurring: the standard deviation of the blur, in pixels."""
    hidden: Literal["box", "pixels"] = "box"
    """Of inpainting: a rectangle anywhere, or three in four pixels."""
    network: Literal["srresnet", "unet", "resnet"] = "srresnet"
    """SRResNet, pix2pix's U-Net or CycleGAN's ResNet; super_resolution takes the first."""
    width: Size = 32
    """Channels of the network at its first size."""
    blocks: DepthFromZero = 6
    """Residual blocks of srresnet and resnet."""
    halvings: Annotated[int, *within(1, 16)] = 2
    """How often unet and resnet halve the size."""
    batch_norm: bool = False
    """Whether srresnet has the paper's batch norm."""
    residual: bool = True
    """The network gives the difference from what is done without it (bicubic interpolation, the image as given)."""
    loss: Literal["l1", "mse"] = "l1"
    """How outputs are compared with the images."""
    perceptual_weight: NonNegativeFloat = 0.0
    """Above 0: they are also compared by maps of EfficientNet-Lite0."""
    adversary: Literal["patch", "srgan"] | None = None
    """A discriminator as well: PatchGAN, or SRGAN's. None: none."""
    adversarial_loss: Loss = "non_saturating"
    """The adversarial loss (jaxgen.models.gan.losses says whose)."""
    adversarial_weight: NonNegativeFloat = 1e-3
    """Weight of the adversarial loss beside the others."""
    discriminator_width: Size = 32
    """Channels of the discriminator's first layer."""
    learning_rate: PositiveFloat = 5e-4
    """Adam's, for both networks, at first; it falls to 0 along a cosine."""
    beta1: Rate = 0.9
    """Adam's decay of the first moment; 0.5 is usual with a discriminator."""
    ema_decay: Rate | None = 0.999
    """Decay of the moving average of the weights that evaluation and samples use, once it is warm. None: no average."""
    turn: bool = False
    """Images are mirrored and turned by chance in training."""
    border: Annotated[int, *within(0, 2**15)] = 2
    """How many pixels at each side are left out of PSNR and SSIM."""


def build_restoration(config: RestorationConfig, assets: Mapping[str, Any]) -> GenerativeModel:
    """Return the restoration of a config.

    Raises:
      UserError: a number out of range, or options that do not fit each other or the images.
    """
    height, width, channels = assets["image_shape"]
    if min(height, width) - 2 * config.border < WINDOW_SIZE:
        raise UserError(
            f"Images of {height}x{width} without a --border of {config.border} pixels are too small for SSIM: they "
            f"must keep {WINDOW_SIZE}."
        )

    def optimizer() -> optax.GradientTransformation:
        return optax.adam(optax.cosine_decay_schedule(config.learning_rate, config.steps), config.beta1)

    adversary = None
    if config.adversary is not None:
        size = config.discriminator_width
        discriminator = PatchDiscriminator(size, 2) if config.adversary == "patch" else SRDiscriminator(size)
        adversary = Adversary(discriminator, optimizer(), config.adversarial_loss, config.adversarial_weight)
    return Restoration(
        network_of(config, channels),
        turn=config.turn,
        degradation=degradation_of(config, assets["image_shape"]),
        optimizer=optimizer(),
        loss=config.loss,
        residual=config.residual,
        adversary=adversary,
        perceptual_loss=_perceptual_loss(config.perceptual_weight),
        ema_decay=config.ema_decay,
        border=config.border,
    ).model()


def degradation_of(config: RestorationConfig, image_shape: tuple[int, int, int]) -> Degradation:
    """Return what --degradation names.

    Raises:
      UserError: a number out of range, images that cannot be made so small, or that have no colors to be taken.
    """
    height, width, channels = image_shape
    if config.degradation == "super_resolution":
        if height % config.factor or width % config.factor:
            raise UserError(f"--factor {config.factor} must divide the images' {height}x{width}.")
        return super_resolution(config.factor)
    if config.degradation == "colourisation":
        if channels != 3:
            raise UserError("colourisation needs RGB images, and these are gray: choose another --degradation.")
        return colorization()
    return {
        "denoising": lambda: denoising(config.noise_level),
        "deblurring": lambda: deblurring(config.blur),
        "inpainting": lambda: inpainting(config.hidden),
    }[config.degradation]()


def network_of(config: RestorationConfig, channels: int) -> nn.Module:
    """Return what --network names.

    Raises:
      UserError: another one than srresnet, which alone makes images larger.
    """
    larger = config.factor if config.degradation == "super_resolution" else 1
    if config.network == "srresnet":
        return SRResNet(channels, larger, config.width, config.blocks, config.batch_norm, config.residual)
    if larger > 1:
        raise UserError(f"--network {config.network} cannot make images larger: super_resolution takes srresnet.")
    bounded = not config.residual
    if config.network == "unet":
        return UNetTranslator(channels, config.width, config.halvings, bounded=bounded)
    return ResNetTranslator(channels, config.width, config.halvings, config.blocks, bounded)


def _perceptual_loss(weight: float) -> PerceptualLoss | None:
    if not weight:
        return None
    variables, maps = efficientnet_maps()

    def features(variables: Any, images: Any) -> list[Any]:
        found = maps(variables, images)
        return [found[i] for i in PERCEPTUAL_MAPS]

    return PerceptualLoss(lambda: variables, features, weight)
