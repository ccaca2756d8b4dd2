"""The options of StyleGAN2s, and how they become a model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jaxgen.errors import UserError
from jaxgen.experiments._augmentation import AugmentationConfig, build_augmentation
from jaxgen.experiments._images import class_count
from jaxgen.models.stylegan2 import stylegan2
from jaxgen.models.stylegan2_parts import lazy_adam
from jaxgen.networks.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator
from jaxgen.training.config import TrainConfig, check_at_least
from jaxgen.training.state import GenerativeModel

CONFIGURATION_F = {
    "channel_base": 32_768,
    "channel_max": 512,
    "latent_size": 512,
    "mapping_layers": 8,
    "learning_rate": 0.002,
    "path_weight": 2.0,
    "mixing": 0.9,
}
"""The paper's largest networks (table 1, F), and how they are trained."""


@dataclass(frozen=True)
class StyleGAN2Config(AugmentationConfig, TrainConfig):
    """Options of a StyleGAN2."""

    batch_size: int = 32
    """Examples per step, over all devices together."""
    channel_base: int = 32_768
    """A map of side R has channel_base / R channels in both networks. 32768: configuration F, 16384: E."""
    channel_max: int = 512
    """The most channels that a map has."""
    latent_size: int = 512
    """Length of the latent vectors, and of the styles."""
    mapping_layers: int = 8
    """Layers between latents and styles."""
    conditional: bool = False
    """Whether the class is given: embedded beside the latents, and one output of the discriminator for each."""
    learning_rate: float = 0.002
    """Adam's learning rate, for both networks."""
    r1_weight: float = 10.0
    """Weight gamma of gamma / 2 |grad D|^2 at real images. 0: none."""
    r1_every: int = 16
    """R1 is taken in every n-th step only, n times as strong."""
    path_weight: float = 2.0
    """Weight of the path length's distance from its mean. 0: none."""
    path_every: int = 4
    """The path length is taken in every n-th step only, of every second example, n times as strong."""
    mixing: float = 0.9
    """How often an image is made with two styles while training."""
    ema_images: float = 10_000.0
    """After so many images half of the generator's moving average is new."""


@dataclass(frozen=True)
class SmallStyleGAN2Config(StyleGAN2Config):
    """Options of a StyleGAN2 of small images that learns on one CPU core."""

    steps: int = 10_000
    """How many training steps the run has in all."""
    batch_size: int = 16
    """Examples per step, over all devices together."""
    steps_per_dispatch: int = 20
    """Steps run on the device between two returns to Python (results do not depend on it)."""
    log_every: int = 100
    """Steps between lines of metrics.jsonl (means over those steps). 0: only at the end."""
    sample_every: int = 500
    """Steps between sample sheets, always of the same latents. 0: only at the end."""
    checkpoint_every: int = 1_000
    """Steps between checkpoints; one is always kept at the end. 0: only at the end."""
    channel_base: int = 1_024
    """A map of side R has channel_base / R channels in both networks. 32768: configuration F, 16384: E."""
    channel_max: int = 64
    """The most channels that a map has."""
    latent_size: int = 128
    """Length of the latent vectors, and of the styles."""
    mapping_layers: int = 4
    """Layers between latents and styles."""
    learning_rate: float = 0.0025
    """Adam's learning rate, for both networks."""
    path_weight: float = 0.0
    """Weight of the path length's distance from its mean. 0: none, as the authors have it for small images,"""
    mixing: float = 0.0
    """and so is this: how often an image is made with two styles while training."""


def build_stylegan2(config: StyleGAN2Config, assets: Mapping[str, Any]) -> GenerativeModel:
    """Generator and discriminator of `jaxgen.networks.stylegan2`.

    Raises:
      UserError: images of a size that it cannot make, a conditional model of images without classes, or an option out
        of range.
    """
    for name in ("r1_every", "path_every", "channel_max"):
        check_at_least(config, name, 1)
    image_shape, num_classes = tuple(assets["image_shape"]), class_count(assets) if config.conditional else None
    if not 0.0 <= config.mixing <= 1.0:
        raise UserError(f"--mixing is a probability, not {config.mixing}.")
    if config.ema_images <= 0.0 or min(config.r1_weight, config.path_weight) < 0.0:
        raise UserError("--ema-images must be above 0, --r1-weight and --path-weight at least 0.")
    if config.channel_base < 2 * image_shape[0]:
        raise UserError(f"--channel-base {config.channel_base} leaves no channels for maps of {image_shape[0]} pixels.")
    sizes = {"image_shape": image_shape, "channel_base": config.channel_base, "channel_max": config.channel_max}
    return stylegan2(
        StyleGAN2Generator(
            **sizes,
            style_size=config.latent_size,
            mapping_layers=config.mapping_layers,
            num_classes=num_classes,
        ),
        StyleGAN2Discriminator(**sizes, num_classes=num_classes),
        latent_size=config.latent_size,
        generator_optimiser=lazy_adam(config.learning_rate, config.path_every if config.path_weight else None),
        discriminator_optimiser=lazy_adam(config.learning_rate, config.r1_every if config.r1_weight else None),
        r1_weight=config.r1_weight,
        r1_every=config.r1_every,
        path_weight=config.path_weight,
        path_every=config.path_every,
        mixing=config.mixing,
        ema_decay=0.5 ** (config.batch_size / config.ema_images),
        augmentation=build_augmentation(config),
    )
