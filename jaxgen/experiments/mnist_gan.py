"""A GAN of fully connected networks on MNIST: the first thing to run.

    python -m jaxgen.experiments.mnist_gan

The GAN learns from all 60,000 digits that come with the package; the run's folder gets sheets of samples.
"""

from dataclasses import dataclass

from jaxgen.core.model import GenerativeModel
from jaxgen.core.types import Assets
from jaxgen.data import load
from jaxgen.experiments._gan import DiscriminatorOptions, GANConfig, build_gan
from jaxgen.experiments._scored import BEST_BY_FID
from jaxgen.networks.mlp import MLPDiscriminator, MLPGenerator
from jaxgen.runs.experiment import Experiment


@dataclass(frozen=True)
class Config(GANConfig):
    """Options of mnist_gan."""

    network: DiscriminatorOptions = DiscriminatorOptions()


DEFAULT = Config().replace(**BEST_BY_FID, steps=16_000, eval_every=4_000)


def build_model(config: Config, assets: Assets) -> GenerativeModel:
    """Return a `GAN`, 128-256-512-1024-784 with batch norm against 512-256-128-1 without, leaky ReLU throughout.

    Without batch norm the generator makes only noise and few shapes (after 4,000 steps no digit is clear).
    """
    return build_gan(
        config,
        MLPGenerator(tuple(assets["image_shape"]), batch_norm=True),
        MLPDiscriminator(spectral_norm=config.network.discriminator_spectral_norm),
        independent_examples=True,
    )


EXPERIMENT = Experiment(
    file=__file__,
    family="GAN",
    summary="fully connected GAN",
    data="MNIST",
    expected_time="5 min on 2 CPU cores",
    presets={
        "quick": DEFAULT.replace(steps=2_000, sample_every=200, checkpoint_every=1_000),
        "default": DEFAULT,
        "full": DEFAULT.replace(steps=100_000, checkpoint_every=10_000, sample_every=2_000),
    },
    load_data=lambda config: load("mnist"),
    build_model=build_model,
)


if __name__ == "__main__":
    EXPERIMENT.main()
