"""A class-conditional GAN on MNIST (Mirza and Osindero 2014, https://arxiv.org/abs/1411.1784).

    python -m jaxgen.experiments.mnist_cgan
    jaxgen augment runs/mnist_cgan/001 --num 10000 --out digits.npz

draws digits of a class that is asked for; --per-class trains on a few of each class only.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jaxgen.data import Dataset, load
from jaxgen.data.subset import few_per_class
from jaxgen.experiment import Experiment, run
from jaxgen.experiments._gan import MNISTGANConfig, build_gan
from jaxgen.networks.conditional import ConditionalDiscriminator, ConditionalGenerator
from jaxgen.networks.mlp import MLPDiscriminator, MLPGenerator
from jaxgen.training.state import GenerativeModel


@dataclass(frozen=True)
class Config(MNISTGANConfig):
    """Options of mnist_cgan."""

    steps: int = 18_000
    """How many training steps the run has in all."""
    per_class: int | None = None
    """Train on this many images of each class only, chosen by --seed. None: all."""


def load_data(config: Config) -> Dataset:
    """MNIST, or a few images of each class."""
    data = load("mnist")
    return data if config.per_class is None else few_per_class(data, config.per_class, seed=config.seed)


def build_model(config: Config, assets: Mapping[str, Any]) -> GenerativeModel:
    """The networks of mnist_gan, given the class."""
    num_classes = len(assets["class_names"])
    return build_gan(
        config,
        ConditionalGenerator(MLPGenerator(tuple(assets["image_shape"]), batch_norm=True), num_classes),
        ConditionalDiscriminator(MLPDiscriminator(), num_classes),
        independent_examples=True,
        num_classes=num_classes,
    )


EXPERIMENT = Experiment(
    file=__file__,
    summary="class-conditional GAN",
    data="MNIST",
    expected_time="7 min on 2 CPU cores",
    presets={
        "quick": Config(steps=2_000, sample_every=200, checkpoint_every=1_000),
        "default": Config(),
        "full": Config(steps=100_000, checkpoint_every=10_000, sample_every=2_000),
    },
    load_data=load_data,
    build_model=build_model,
)


def main() -> None:
    sys.exit(run(EXPERIMENT))


if __name__ == "__main__":
    main()
