"""The options of StyleGAN2s, and how they become a model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from jaxgen.core.errors import UserError
from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import Count, CountFromZero, Depth, NonNegativeFloat, PositiveFloat, Probability, Size, within
from jaxgen.experiments._augmentation import AugmentationConfig, build_augmentation
from jaxgen.experiments._images import class_count
from jaxgen.models.stylegan2 import StyleGAN2, lazy_adam
from jaxgen.networks.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator
from jaxgen.training.config import TrainConfig

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

    batch_size: Count = 32
    """Examples per step, over all devices together."""
    channel_base: Annotated[int, *within(1, 2**20)] = 32_768
    """A map of side R has channel_base / R channels in both networks. 32768: configuration F, 16384: E."""
    channel_max: Size = 512
    """The most channels that a map has."""
    latent_size: Size = 512
    """Length of the latent vectors, and of the styles."""
    mapping_layers: Depth = 8
    """Layers between latents and styles."""
    conditional: bool = False
    """Whether the class is given: embedded beside the latents, and one output of the discriminator for each."""
    learning_rate: PositiveFloat = 0.002
    """Adam's learning rate, for both networks."""
    r1_weight: NonNegativeFloat = 10.0
    """Weight gamma of gamma / 2 |grad D|^2 at real images. 0: none."""
    r1_every: Count = 16
    """R1 is taken in every n-th step only, n times as strong."""
    path_weight: NonNegativeFloat = 2.0
    """Weight of the path length regularizer, (|J^T y| - a)^2. 0: none."""
    path_every: Count = 4
    """The path length is regularized in every n-th step only, of every second example, n times as strong."""
    mixing: Probability = 0.9
    """Probability that a training image is made with two styles."""
    ema_images: PositiveFloat = 10_000.0
    """Half-life of the generator's moving average, in training images."""


@dataclass(frozen=True)
class SmallStyleGAN2Config(StyleGAN2Config):
    """Options of a StyleGAN2 of small images that learns on one CPU core."""

    steps: Count = 10_000
    """How many training steps the run has in all."""
    batch_size: Count = 16
    """Examples per step, over all devices together."""
    steps_per_dispatch: Count = 20
    """Steps run on the device between two returns to Python (results do not depend on it)."""
    log_every: CountFromZero = 100
    """Steps between lines of metrics.jsonl (means over those steps). 0: only at the end."""
    sample_every: CountFromZero = 500
    """Steps between sample sheets, always of the same latents. 0: only at the end."""
    checkpoint_every: CountFromZero = 1_000
    """Steps between checkpoints; one is always kept at the end. 0: only at the end."""
    channel_base: Annotated[int, *within(1, 2**20)] = 1_024
    """A map of side R has channel_base / R channels in both networks. 32768: configuration F, 16384: E."""
    channel_max: Size = 64
    """The most channels that a map has."""
    latent_size: Size = 128
    """Length of the latent vectors, and of the styles."""
    mapping_layers: Depth = 4
    """Layers between latents and styles."""
    learning_rate: PositiveFloat = 0.0025
    """Adam's learning rate, for both networks."""
    path_weight: NonNegativeFloat = 0.0
    """Weight of the path length regularizer. 0: none, as the authors have it for small images."""
    mixing: Probability = 0.0
    """Probability that a training image is made with two styles. 0: none, as the authors have it for small images."""


def build_stylegan2(config: StyleGAN2Config, assets: Mapping[str, Any]) -> GenerativeModel:
    """Return `jaxgen.models.StyleGAN2` with the networks of `jaxgen.networks.stylegan2`.

    Raises:
      UserError: images of a size that it cannot make, a conditional model of images without classes, or an option out
        of range.
    """
    image_shape, num_classes = tuple(assets["image_shape"]), class_count(assets) if config.conditional else None
    if config.channel_base < 2 * image_shape[0]:
        raise UserError(f"--channel-base {config.channel_base} leaves no channels for maps of {image_shape[0]} pixels.")
    sizes = {"image_shape": image_shape, "channel_base": config.channel_base, "channel_max": config.channel_max}
    return StyleGAN2(
        StyleGAN2Generator(
            **sizes,
            style_size=config.latent_size,
            mapping_layers=config.mapping_layers,
            num_classes=num_classes,
        ),
        StyleGAN2Discriminator(**sizes, num_classes=num_classes),
        latent_size=config.latent_size,
        generator_optimizer=lazy_adam(config.learning_rate, config.path_every if config.path_weight else None),
        discriminator_optimizer=lazy_adam(config.learning_rate, config.r1_every if config.r1_weight else None),
        r1_weight=config.r1_weight,
        r1_every=config.r1_every,
        path_weight=config.path_weight,
        path_every=config.path_every,
        mixing_prob=config.mixing,
        ema_decay=0.5 ** (config.batch_size / config.ema_images),
        augmentation=build_augmentation(config),
    ).model()
