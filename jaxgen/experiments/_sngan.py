"""The options of SNGANs, and how they become a model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import ImageSize, Rate, Size
from jaxgen.experiments._gan import Loss, build_gan
from jaxgen.experiments._image_gan import ImageGANConfig
from jaxgen.experiments._images import class_count
from jaxgen.networks.sngan import SNGANDiscriminator, SNGANGenerator


@dataclass(frozen=True)
class SNGANConfig(ImageGANConfig):
    """Options of a residual GAN with spectral normalization."""

    latent_size: Size = 128
    """Length of the latent vectors."""
    loss: Loss = "hinge"
    """Adversarial loss (see jaxgen.models.gan.losses)."""
    beta1: Rate = 0.0
    """Adam's decay of the first moment, for both networks."""
    beta2: Rate = 0.9
    """Adam's decay of the second moment, for both networks."""
    generator_width: Size | None = None
    """Channels of the generator's maps. None: the paper's."""
    discriminator_width: Size | None = None
    """Channels of the discriminator's maps. None: the paper's."""
    conditional: bool = False
    """Whether the class is given: class-conditional batch norm, and the discriminator's projection."""
    attention_size: ImageSize | None = None
    """Size of the map that self-attention (SAGAN) stands at, in both networks. None: no attention."""
    generator_spectral_norm: bool = False
    """Whether the generator's layers are spectrally normalized too, as in SAGAN."""


def build_sngan(config: SNGANConfig, assets: Mapping[str, Any]) -> GenerativeModel:
    """Return a GAN with the networks of `jaxgen.networks.sngan`.

    Raises:
      UserError: a conditional model of images without classes.
    """
    image_shape, num_classes = tuple(assets["image_shape"]), class_count(assets) if config.conditional else None
    return build_gan(
        config,
        SNGANGenerator(
            image_shape,
            config.generator_width,
            num_classes,
            config.attention_size,
            spectral_norm=config.generator_spectral_norm,
        ),
        SNGANDiscriminator(image_shape, config.discriminator_width, num_classes, attention_size=config.attention_size),
        independent_examples=True,
        num_classes=num_classes,
    )
