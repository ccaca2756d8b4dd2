"""What the experiments that restore images share: options, values, and how they become a model."""

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
"""Which of EfficientNet-Lite0's maps are compared: after the first stage and the third, at a half and an eighth of the
size."""
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
    """What is taken from the images, and how what is given back is compared with them."""

    degradation: Literal[tuple(DEGRADATIONS)] = "super_resolution"
    """What is taken from the images (jaxgen.models.image_to_image.degradations says how)."""
    factor: Literal[2, 4] = 2
    """How many times larger --degradation super_resolution makes images."""
    noise_level: PositiveFloat = 25.0
    """Standard deviation of the noise of --degradation denoising, in units of 0..255."""
    blur: Annotated[float, *within(0, 64, low_open=True)] = 1.6
    """Standard deviation of the blur of --degradation deblurring, in pixels."""
    hidden: Literal["box", "pixels"] = "box"
    """What --degradation inpainting hides: a rectangle anywhere, or three in four pixels."""
    residual: bool = True
    """The network gives the difference from what is done without it (bicubic interpolation, the image as given)."""
    loss: Literal["l1", "mse"] = "l1"
    """How outputs are compared with the images."""
    perceptual_weight: NonNegativeFloat = 0.0
    """Weight of a further comparison, by maps of EfficientNet-Lite0. 0: none."""
    border: Annotated[int, *within(0, 2**15)] = 2
    """How many pixels at each side are left out of PSNR and SSIM."""


@dataclass(frozen=True)
class RestorerOptions:
    """The networks."""

    network: Literal[tuple(NETWORKS)] = "srresnet"
    """SRResNet, pix2pix's U-Net or CycleGAN's ResNet; super_resolution takes the first."""
    width: Size = 32
    """Channels of the network at its first size."""
    blocks: DepthFromZero = 6
    """Residual blocks of srresnet and resnet."""
    halvings: Annotated[int, *within(1, 16)] = 2
    """How often unet and resnet halve the size."""
    batch_norm: bool = False
    """Whether srresnet has the paper's batch norm."""
    discriminator_width: Size = 32
    """Channels of the discriminator's first layer, where there is one."""


@dataclass(frozen=True)
class AdversaryOptions(AdversarialLossOptions):
    """A discriminator of what is restored."""

    adversary: Literal[tuple(ADVERSARIES)] | None = None
    """The discriminator that is trained as well: PatchGAN's, or SRGAN's. None: none."""


@dataclass(frozen=True)
class CosineAdamOptions:
    """Adam, with a learning rate that falls along a cosine."""

    learning_rate: PositiveFloat = 1e-3
    """Adam's learning rate at first, for all networks; it falls to 0 along a cosine."""


@dataclass(frozen=True)
class RestorationOptimizerOptions(AverageOptions, CosineAdamOptions):
    """Adam, with a learning rate that falls along a cosine, and an average."""

    beta1: Rate = 0.9
    """Adam's decay of the first moment; 0.5 is usual with a discriminator."""


@dataclass(frozen=True)
class TurnOptions:
    """What is done to images in training."""

    turn: bool = False
    """Images are mirrored and turned by chance in training."""


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
    """Return what --degradation names.

    Raises:
      UserError: a number out of range, images that cannot be made so small, or that have no colors to be taken.
    """
    height, width, channels = image_shape
    if options.degradation == "super_resolution" and (height % options.factor or width % options.factor):
        raise UserError(f"--factor {options.factor} must divide the images' {height}x{width}.")
    if options.degradation == "colourisation" and channels != 3:
        raise UserError("colourisation needs RGB images, and these are gray: choose another --degradation.")
    return DEGRADATIONS[options.degradation](options)


def network_of(config: RestorationConfig, channels: int) -> nn.Module:
    """Return what --network names.

    Raises:
      UserError: another one than srresnet, which alone makes images larger.
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
