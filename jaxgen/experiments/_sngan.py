"""Options of SNGANs, shared by experiments, the paper's values, and the model built from them."""

from dataclasses import dataclass

from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import ImageSize, Size
from jaxgen.core.types import Assets
from jaxgen.experiments._gan import build_gan
from jaxgen.experiments._image_gan import IMAGES, ImageGANConfig
from jaxgen.experiments._images import class_count
from jaxgen.networks.sngan import SNGANDiscriminator, SNGANGenerator


@dataclass(frozen=True)
class SNGANOptions:
    """Residual networks with spectral normalization."""

    generator_width: Size | None = None
    """Channels of the generator's maps. None: the paper's, 256 for images of 32x32."""
    discriminator_width: Size | None = None
    """Channels of the discriminator's maps. None: the paper's, 128 for images of 32x32."""
    conditional: bool = False
    """Condition on the class, by class-conditional batch norm and the discriminator's projection."""
    attention_size: ImageSize | None = None
    """Size of the map with self-attention (SAGAN) in both networks. None: no attention."""
    generator_spectral_norm: bool = False
    """Whether the generator's layers have spectral normalization too, as in SAGAN."""


@dataclass(frozen=True)
class SNGANConfig(ImageGANConfig):
    """Options of a residual GAN with spectral normalization."""

    network: SNGANOptions = SNGANOptions()


SNGAN = SNGANConfig().replace(**IMAGES, latent_size=128, loss="hinge", beta1=0.0, beta2=0.9)
"""The paper's settings, with the widths of its networks."""


def build_sngan(config: SNGANConfig, assets: Assets) -> GenerativeModel:
    """Return a GAN with the networks of `jaxgen.networks.sngan`.

    Raises:
      UserError: a conditional model of images without classes.
    """
    options = config.network
    image_shape, num_classes = tuple(assets["image_shape"]), class_count(assets) if options.conditional else None
    return build_gan(
        config,
        SNGANGenerator(
            image_shape,
            options.generator_width,
            num_classes,
            options.attention_size,
            spectral_norm=options.generator_spectral_norm,
        ),
        SNGANDiscriminator(
            image_shape, options.discriminator_width, num_classes, attention_size=options.attention_size
        ),
        independent_examples=True,
        num_classes=num_classes,
    )
