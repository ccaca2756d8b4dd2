"""Options and values of the restoration of images, shared by experiments, and the model built from them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

import flax.linen as nn
import jax
import optax

from jaxgen.core.errors import UserError
from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import (
    DepthFromZero,
    NonNegativeFloat,
    PositiveFloat,
    Rate,
    Size,
    within,
)
from jaxgen.core.types import Assets, Variables
from jaxgen.experiments._averages import AverageOptions
from jaxgen.experiments._gan import AdversarialLossOptions
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
"""EfficientNet-Lite0's feature maps that are compared: after the first and the third stage, at a half and an eighth of
the size."""
DEGRADATIONS: dict[str, Callable[["RestorationOptions"], Degradation]] = {
    "super_resolution": lambda options: super_resolution(options.factor),
    "denoising": lambda options: denoising(options.noise_level),
    "deblurring": lambda options: deblurring(options.blur),
    "inpainting": lambda options: inpainting(options.hidden),
    "colourisation": lambda options: colorization(),
}
NETWORKS = ("srresnet", "unet", "resnet")
ADVERSARIES: dict[str, Callable[[int], nn.Module]] = {
    "patch": lambda width: PatchDiscriminator(width, 2),
    "srgan": SRDiscriminator,
}


@dataclass(frozen=True)
class RestorationOptions:
    """The degradation of images, and the comparison of restored images with them."""

    degradation: Literal[tuple(DEGRADATIONS)] = "super_resolution"
    """Degradation that is undone (see jaxgen.models.image_to_image.degradations)."""
    factor: Literal[2, 4] = 2
    """Factor by which --degradation super_resolution enlarges images."""
    noise_level: PositiveFloat = 25.0
    """Standard deviation of the noise of --degradation denoising, in units of 0..255."""
    blur: Annotated[float, *within(0, 64, low_open=True)] = 1.6
    """Standard deviation of the blur of --degradation deblurring, in pixels."""
    hidden: Literal["box", "pixels"] = "box"
    """Part that --degradation inpainting hides: a rectangle anywhere, or three in four pixels."""
    residual: bool = True
    """Predict the difference from the baseline, an image restored without a network (bicubic interpolation, or the
    image as given)."""
    loss: Literal["l1", "mse"] = "l1"
    """Loss between outputs and images."""
    perceptual_weight: NonNegativeFloat = 0.0
    """Weight of the perceptual loss, by feature maps of EfficientNet-Lite0. 0: no such loss."""
    border: Annotated[int, *within(0, 2**15)] = 2
    """Number of pixels at each side that are left out of PSNR and SSIM."""


@dataclass(frozen=True)
class RestorerOptions:
    """The networks."""

    network: Literal[tuple(NETWORKS)] = "srresnet"
    """Kind of the network: SRResNet, pix2pix's U-Net or CycleGAN's ResNet; super_resolution needs SRResNet."""
    width: Size = 32
    """Channels of the network at its first size."""
    blocks: DepthFromZero = 6
    """Number of residual blocks of srresnet and resnet."""
    halvings: Annotated[int, *within(1, 16)] = 2
    """Number of times that unet and resnet halve the size."""
    batch_norm: bool = False
    """Whether srresnet has the paper's batch norm."""
    discriminator_width: Size = 32
    """Channels of the first layer of --adversary's discriminator."""


@dataclass(frozen=True)
class AdversaryOptions(AdversarialLossOptions):
    """A discriminator of restored images."""

    adversary: Literal[tuple(ADVERSARIES)] | None = None
    """Discriminator that is trained too: PatchGAN's, or SRGAN's. None: no discriminator."""


@dataclass(frozen=True)
class CosineAdamOptions:
    """Adam, with a learning rate that falls along a cosine."""

    learning_rate: PositiveFloat = 1e-3
    """Adam's initial learning rate, for all networks; it falls to 0 along a cosine."""


@dataclass(frozen=True)
class RestorationOptimizerOptions(AverageOptions, CosineAdamOptions):
    """Adam, with a learning rate that falls along a cosine, and an average."""

    beta1: Rate = 0.9
    """Adam's decay of the first moment; 0.5 is usual with a discriminator."""


@dataclass(frozen=True)
class TurnOptions:
    """How training images are mirrored and turned."""

    turn: bool = False
    """Mirror and turn training images at random."""


@dataclass(frozen=True)
class RestorationConfig(TrainConfig):
    """Options of a model that restores images."""

    model: RestorationOptions = RestorationOptions()
    network: RestorerOptions = RestorerOptions()
    adversary: AdversaryOptions = AdversaryOptions(adversarial_weight=1e-3)
    optimizer: RestorationOptimizerOptions = RestorationOptimizerOptions(learning_rate=5e-4)
    augmentation: TurnOptions = TurnOptions()


RESTORATION = {
    "steps": 4_000,
    "steps_per_dispatch": 10,
    "sample_every": 500,
    "checkpoint_every": 500,
    "eval_every": 500,
    "best_metric": "eval/generator/psnr",
}
"""Values of a restoration that learns on a CPU."""


def build_restoration(config: RestorationConfig, assets: Assets) -> GenerativeModel:
    """Return the restoration of a config.

    Raises:
      UserError: a number out of range, or options that do not fit each other or the images.
    """
    height, width, channels = assets["image_shape"]
    if min(height, width) - 2 * config.model.border < WINDOW_SIZE:
        raise UserError(
            f"Images of {height}x{width} without a --border of {config.model.border} pixels are too small for SSIM: "
            f"they must keep {WINDOW_SIZE}."
        )

    def optimizer() -> optax.GradientTransformation:
        return optax.adam(
            optax.cosine_decay_schedule(config.optimizer.learning_rate, config.run.steps), config.optimizer.beta1
        )

    asked, adversary = config.adversary, None
    if asked.adversary is not None:
        discriminator = ADVERSARIES[asked.adversary](config.network.discriminator_width)
        adversary = Adversary(discriminator, optimizer(), asked.adversarial_loss, asked.adversarial_weight)
    return Restoration(
        network_of(config, channels),
        turn=config.augmentation.turn,
        degradation=degradation_of(config.model, assets["image_shape"]),
        optimizer=optimizer(),
        loss=config.model.loss,
        residual=config.model.residual,
        adversary=adversary,
        perceptual_loss=_perceptual_loss(config.model.perceptual_weight),
        ema_decay=config.optimizer.ema_decay,
        border=config.model.border,
    ).model()


def degradation_of(options: RestorationOptions, image_shape: tuple[int, int, int]) -> Degradation:
    """Return the degradation that --degradation names.

    Raises:
      UserError: a number out of range, images that cannot be shrunk by this factor, or gray images to colorize.
    """
    height, width, channels = image_shape
    if options.degradation == "super_resolution" and (height % options.factor or width % options.factor):
        raise UserError(f"--factor {options.factor} must divide the images' {height}x{width}.")
    if options.degradation == "colourisation" and channels != 3:
        raise UserError("colourisation needs RGB images, and these are gray: choose another --degradation.")
    return DEGRADATIONS[options.degradation](options)


def network_of(config: RestorationConfig, channels: int) -> nn.Module:
    """Return the network that --network names.

    Raises:
      UserError: super-resolution by a network other than srresnet, the only one that enlarges images.
    """
    options, residual = config.network, config.model.residual
    larger = config.model.factor if config.model.degradation == "super_resolution" else 1
    if options.network == "srresnet":
        return SRResNet(channels, larger, options.width, options.blocks, options.batch_norm, residual)
    if larger > 1:
        raise UserError(f"--network {options.network} cannot make images larger: super_resolution takes srresnet.")
    if options.network == "unet":
        return UNetTranslator(channels, options.width, options.halvings, bounded=not residual)
    return ResNetTranslator(channels, options.width, options.halvings, options.blocks, not residual)


def _perceptual_loss(weight: float) -> PerceptualLoss | None:
    if not weight:
        return None
    variables, maps = efficientnet_maps()

    def features(variables: Variables, images: jax.Array) -> list[jax.Array]:
        found = maps(variables, images)
        return [found[i] for i in PERCEPTUAL_MAPS]

    return PerceptualLoss(lambda: variables, features, weight)
