"""BigGAN on CIFAR-10 (Brock et al. 2019, https://arxiv.org/abs/1809.11096).

    python -m jaxgen.experiments.cifar10_biggan --data-dir FOLDER --preset full

The command needs CIFAR-10 as tensorflow-datasets prepares it in FOLDER. The full preset has the settings of StudioGAN's
configuration for CIFAR-10: width 96, latents of length 80, self-attention at 16x16, five discriminator steps for each
of 100,000 generator steps. It has not been run yet.
"""

from dataclasses import dataclass

from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import ImageSize, Size
from jaxgen.core.types import Assets
from jaxgen.experiments._gan import build_gan
from jaxgen.experiments._image_gan import IMAGES, ImageGANConfig
from jaxgen.experiments._images import class_count, load_images
from jaxgen.networks.biggan import BigGANDiscriminator, BigGANGenerator
from jaxgen.runs.experiment import Experiment


@dataclass(frozen=True)
class NetworkOptions:
    """The networks of BigGAN."""

    width: Size = 32
    """Width of the networks: the generator has four times as many channels, the discriminator twice; StudioGAN's is
    96."""
    attention_size: ImageSize | None = None
    """Size of the map with self-attention in both networks. None: no attention."""


@dataclass(frozen=True)
class Config(ImageGANConfig):
    """Options of cifar10_biggan."""

    network: NetworkOptions = NetworkOptions()


DEFAULT = Config().replace(
    **IMAGES,
    data="cifar10",
    batch_size=64,
    latent_size=80,  # divided into one part for each block of the generator, and one for its stem
    loss="hinge",
    discriminator_steps=5,
)


def build_model(config: Config, assets: Assets) -> GenerativeModel:
    """Return a GAN with the networks of `jaxgen.networks.biggan`."""
    options = config.network
    image_shape, num_classes = tuple(assets["image_shape"]), class_count(assets)
    return build_gan(
        config,
        BigGANGenerator(image_shape, options.width, num_classes, attention_size=options.attention_size),
        BigGANDiscriminator(
            image_shape, options.width, num_classes, attention_size=options.attention_size, small_multiple=2
        ),
        independent_examples=True,
        num_classes=num_classes,
    )


EXPERIMENT = Experiment(
    file=__file__,
    family="GAN",
    summary="BigGAN",
    data="CIFAR-10 (tfds)",
    expected_time="not run yet",
    presets={
        "quick": DEFAULT.replace(steps=40, width=8, sample_every=20, checkpoint_every=20),
        "default": DEFAULT,
        "full": DEFAULT.replace(
            steps=500_000,
            width=96,
            attention_size=16,
            ema_decay=0.9999,
            sample_every=5_000,
            checkpoint_every=5_000,
        ),
    },
    load_data=lambda config: load_images(config.data),
    build_model=build_model,
)


if __name__ == "__main__":
    EXPERIMENT.main()
