"""Options and values of StyleGAN2, shared by experiments, and the model built from them."""

from dataclasses import dataclass
from typing import Annotated

from jaxgen.core.errors import UserError
from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import Count, Depth, NonNegativeFloat, PositiveFloat, Probability, Size, within
from jaxgen.core.types import Assets
from jaxgen.experiments._augmentation import AugmentationOptions, build_augmentation
from jaxgen.experiments._images import ImageOptions, class_count
from jaxgen.models.stylegan2 import StyleGAN2, lazy_adam
from jaxgen.networks.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator
from jaxgen.training.config import TrainConfig


@dataclass(frozen=True)
class StyleGAN2Options:
    """Latents, styles and regularizers."""

    latent_size: Size = 512
    """Length of the latent vectors, and of the styles."""
    r1_weight: NonNegativeFloat = 10.0
    """Weight gamma of the R1 penalty, gamma / 2 |grad D|^2 at real images. 0: no penalty."""
    r1_every: Count = 16
    """R1 is taken in every n-th step only, n times as strong."""
    path_weight: NonNegativeFloat = 2.0
    """Weight of the path length regularizer, (|J^T y| - a)^2. 0: no regularizer, the authors' choice for small
    images."""
    path_every: Count = 4
    """The path length is regularized in every n-th step only, for every second example, n times as strong."""
    mixing: Probability = 0.9
    """Probability that a training image is made with two styles; the authors use 0 for small images."""


@dataclass(frozen=True)
class StyleGAN2NetworkOptions:
    """The networks."""

    channel_base: Annotated[int, *within(1, 2**20)] = 32_768
    """Channels of a map times its side, in both networks: 32768 is configuration F, 16384 is E."""
    channel_max: Size = 512
    """Maximum number of channels of a map."""
    mapping_layers: Depth = 8
    """Number of layers between latents and styles."""
    conditional: bool = False
    """Condition on the class, embedded beside the latents, with one output of the discriminator for each class."""


@dataclass(frozen=True)
class StyleGAN2OptimizerOptions:
    """Adam for both networks, and the average that samples are drawn with."""

    learning_rate: PositiveFloat = 0.002
    """Adam's learning rate, for both networks."""
    ema_images: PositiveFloat = 10_000.0
    """Half-life of the generator's moving average, in training images."""


@dataclass(frozen=True)
class StyleGAN2Config(TrainConfig):
    """Options of a StyleGAN2."""

    model: StyleGAN2Options = StyleGAN2Options()
    network: StyleGAN2NetworkOptions = StyleGAN2NetworkOptions()
    optimizer: StyleGAN2OptimizerOptions = StyleGAN2OptimizerOptions()
    augmentation: AugmentationOptions = AugmentationOptions()


@dataclass(frozen=True)
class ImageStyleGAN2Config(StyleGAN2Config):
    """Options of a StyleGAN2 of any images."""

    data: ImageOptions = ImageOptions()


CONFIGURATION_F = {
    "channel_base": 32_768,
    "channel_max": 512,
    "latent_size": 512,
    "mapping_layers": 8,
    "learning_rate": 0.002,
    "path_weight": 2.0,
    "mixing": 0.9,
}
"""The paper's largest networks (table 1, F), and their training."""
SMALL = {
    "steps": 10_000,
    "batch_size": 16,
    "steps_per_dispatch": 20,
    "sample_every": 500,
    "checkpoint_every": 1_000,
    "channel_base": 1_024,
    "channel_max": 64,
    "latent_size": 128,
    "mapping_layers": 4,
    "learning_rate": 0.0025,
    "path_weight": 0.0,
    "mixing": 0.0,
}
"""Values of a StyleGAN2 of small images that learns on one CPU core."""


def build_stylegan2(config: StyleGAN2Config, assets: Assets) -> GenerativeModel:
    """Return `jaxgen.models.StyleGAN2` with the networks of `jaxgen.networks.stylegan2`.

    Raises:
      UserError: images of a size that StyleGAN2 cannot make, a conditional model of images without classes, or an
      option
        out of range.
    """
    model, network, optimizer = config.model, config.network, config.optimizer
    image_shape, num_classes = tuple(assets["image_shape"]), class_count(assets) if network.conditional else None
    if network.channel_base < 2 * image_shape[0]:
        raise UserError(
            f"--channel-base {network.channel_base} leaves no channels for maps of {image_shape[0]}x{image_shape[0]}."
        )
    sizes = {"image_shape": image_shape, "channel_base": network.channel_base, "channel_max": network.channel_max}
    return StyleGAN2(
        StyleGAN2Generator(
            **sizes,
            style_size=model.latent_size,
            mapping_layers=network.mapping_layers,
            num_classes=num_classes,
        ),
        StyleGAN2Discriminator(**sizes, num_classes=num_classes),
        latent_size=model.latent_size,
        generator_optimizer=lazy_adam(optimizer.learning_rate, model.path_every if model.path_weight else None),
        discriminator_optimizer=lazy_adam(optimizer.learning_rate, model.r1_every if model.r1_weight else None),
        r1_weight=model.r1_weight,
        r1_every=model.r1_every,
        path_weight=model.path_weight,
        path_every=model.path_every,
        mixing_prob=model.mixing,
        ema_decay=0.5 ** (config.run.batch_size / optimizer.ema_images),
        augmentation=build_augmentation(config.augmentation),
    ).model()
