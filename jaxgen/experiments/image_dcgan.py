"""The DCGAN of the paper (Radford et al. 2016, https://arxiv.org/abs/1511.06434) on images of your own.

    python -m jaxgen.experiments.image_dcgan --data path/to/images --image-size 64

--data is any folder of images (with its sub-folders), an embedded set (emoji, mnist), or the name of an image set of
tensorflow-datasets (cifar10, celeb_a, ...; --data-dir is the folder where it is prepared).
"""

from dataclasses import dataclass

from jaxgen.core.model import GenerativeModel
from jaxgen.core.types import Assets
from jaxgen.experiments._gan import DCGANOptions, build_gan
from jaxgen.experiments._image_gan import IMAGES, ImageGANConfig
from jaxgen.experiments._images import load_images
from jaxgen.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from jaxgen.runs.experiment import Experiment


@dataclass(frozen=True)
class Config(ImageGANConfig):
    """Options of image_dcgan."""

    network: DCGANOptions = DCGANOptions()


DEFAULT = Config().replace(**IMAGES)


def build_model(config: Config, assets: Assets) -> GenerativeModel:
    """Return a DCGAN with stem, widths and the discriminator's batch norm as in the paper (figure 1)."""
    options, image_shape = config.network, tuple(assets["image_shape"])
    return build_gan(
        config,
        DCGANGenerator(image_shape, options.base_width),
        DCGANDiscriminator(image_shape, options.base_width, spectral_norm=options.discriminator_spectral_norm),
        independent_examples=False,
    )


EXPERIMENT = Experiment(
    file=__file__,
    family="GAN",
    summary="DCGAN on your images",
    data="--data ...",
    expected_time="30 min on 2 CPU cores",
    presets={
        "quick": DEFAULT.replace(steps=100, base_width=16, sample_every=20, checkpoint_every=50),
        "default": DEFAULT,
        "full": DEFAULT.replace(
            data="celeb_a", image_size=64, base_width=128, steps=50_000, sample_every=1_000, checkpoint_every=1_000
        ),
    },
    load_data=lambda config: load_images(config.data),
    build_model=build_model,
)


if __name__ == "__main__":
    EXPERIMENT.main()
