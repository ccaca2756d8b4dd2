"""A GAN of fully connected networks on MNIST: the first thing to run.

    python -m jaxgen.experiments.mnist_gan

trains on all 60,000 digits that come with the package and leaves a run folder with sample sheets.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import Count, CountFromZero
from jaxgen.data import load
from jaxgen.experiments._gan import MNISTGANConfig, build_gan
from jaxgen.networks.mlp import MLPDiscriminator, MLPGenerator
from jaxgen.runs.experiment import Experiment


@dataclass(frozen=True)
class Config(MNISTGANConfig):
    """Options of mnist_gan."""

    steps: Count = 16_000
    """How many training steps the run has in all."""
    eval_every: CountFromZero = 4_000
    """Steps between evaluations on the held-out examples. 0: only at the end."""


def build_model(config: Config, assets: Mapping[str, Any]) -> GenerativeModel:
    """128-256-512-1024-784 with batch norm against 512-256-128-1 without, leaky ReLU throughout.

    Without batch norm the generator stays at noise and few shapes (after 4,000 steps no digit is plain).
    """
    return build_gan(
        config,
        MLPGenerator(tuple(assets["image_shape"]), batch_norm=True),
        MLPDiscriminator(spectral_norm=config.discriminator_spectral_norm),
        independent_examples=True,
    )


EXPERIMENT = Experiment(
    file=__file__,
    family="GAN",
    summary="fully connected GAN",
    data="MNIST",
    expected_time="5 min on 2 CPU cores",
    presets={
        "quick": Config(steps=2_000, sample_every=200, checkpoint_every=1_000),
        "default": Config(),
        "full": Config(steps=100_000, checkpoint_every=10_000, sample_every=2_000),
    },
    load_data=lambda config: load("mnist"),
    build_model=build_model,
)


if __name__ == "__main__":
    EXPERIMENT.main()
