"""Wasserstein GAN with gradient penalty on MNIST (Gulrajani et al. 2017, https://arxiv.org/abs/1704.00028).

    python -m jaxgen.experiments.mnist_wgan_gp

Each of --steps is a step of the discriminator (the critic); the generator takes one in --discriminator-steps of them.
"""

from dataclasses import dataclass

from jaxgen.core.model import GenerativeModel
from jaxgen.core.types import Assets
from jaxgen.data import load
from jaxgen.experiments._gan import DCGANOptions, GANConfig, build_gan
from jaxgen.experiments._scored import BEST_BY_FID
from jaxgen.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from jaxgen.runs.experiment import Experiment


@dataclass(frozen=True)
class Config(GANConfig):
    """Options of mnist_wgan_gp."""

    network: DCGANOptions = DCGANOptions()


# The paper's Algorithm 1; each step is a step of the discriminator (the critic).
DEFAULT = Config().replace(
    **BEST_BY_FID,
    steps=15_000,
    batch_size=64,
    steps_per_dispatch=20,
    eval_every=3_000,
    loss="wasserstein",
    discriminator_steps=5,
    penalties="gradient_penalty",
    generator_learning_rate=5e-4,
    discriminator_learning_rate=5e-4,
    beta1=0.0,
    beta2=0.9,
    ema_decay=0.99,
    base_width=32,  # the paper's is 64
)


def build_model(config: Config, assets: Assets) -> GenerativeModel:
    """Return a `GAN` of DCGANs.

    The discriminator has no batch norm, since the penalty is of each image's own gradient.
    """
    image_shape = tuple(assets["image_shape"])
    width = config.network.base_width
    discriminator = DCGANDiscriminator(
        image_shape,
        widths=(width, 2 * width, 4 * width),
        batch_norm=False,
        spectral_norm=config.network.discriminator_spectral_norm,
    )
    return build_gan(config, DCGANGenerator(image_shape, width), discriminator, independent_examples=True)


EXPERIMENT = Experiment(
    file=__file__,
    family="GAN",
    summary="Wasserstein GAN with gradient penalty",
    data="MNIST",
    expected_time="22 min on 1 CPU core",
    presets={
        "quick": DEFAULT.replace(steps=500, sample_every=100, checkpoint_every=250),
        "default": DEFAULT,
        "full": DEFAULT.replace(
            steps=1_000_000,
            base_width=64,
            generator_learning_rate=1e-4,
            discriminator_learning_rate=1e-4,
            ema_decay=0.999,
        ),
    },
    load_data=lambda config: load("mnist"),
    build_model=build_model,
)


if __name__ == "__main__":
    EXPERIMENT.main()
