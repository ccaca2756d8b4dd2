"""Class-conditional GANs on MNIST: cGAN (Mirza and Osindero 2014, https://arxiv.org/abs/1411.1784), ACGAN.

    python -m jaxgen.experiments.mnist_conditional_gan
    jaxgen augment runs/mnist_conditional_gan/001 --num 10000 --out digits.npz

The generator draws digits of a given class; --per-class trains on a few digits of each class only. With --discriminator
reads_class (ACGAN: Odena et al. 2017, https://arxiv.org/abs/1610.09585) the discriminator is not given the class, but
learns to predict it.
"""

from dataclasses import dataclass
from typing import Literal

from jaxgen.core.model import GenerativeModel
from jaxgen.core.types import Assets
from jaxgen.experiments._gan import DiscriminatorOptions, GANConfig, build_gan
from jaxgen.experiments._scored import BEST_BY_FID
from jaxgen.experiments._subset import SubsetOptions, load_subset
from jaxgen.models.gan.heads import auxiliary_classifier
from jaxgen.networks.layers.conditional import ConditionalDiscriminator, ConditionalGenerator
from jaxgen.networks.mlp import MLPDiscriminator, MLPGenerator
from jaxgen.runs.experiment import Experiment


@dataclass(frozen=True)
class NetworkOptions(DiscriminatorOptions):
    """The networks."""

    discriminator: Literal["told_class", "reads_class"] = "told_class"
    """Kind of the discriminator: told_class, whose images have the class as one more channel (cGAN); or reads_class,
    which learns to classify real and generated images, while the generator learns to be classified correctly
    (ACGAN)."""


@dataclass(frozen=True)
class Config(GANConfig):
    """Options of mnist_conditional_gan."""

    data: SubsetOptions = SubsetOptions()
    network: NetworkOptions = NetworkOptions()


DEFAULT = Config().replace(**BEST_BY_FID, steps=18_000, eval_every=6_000)


def build_model(config: Config, assets: Assets) -> GenerativeModel:
    """Return a `GAN` with the networks of mnist_gan, given the class."""
    num_classes = len(assets["class_names"])
    generator = ConditionalGenerator(MLPGenerator(tuple(assets["image_shape"]), batch_norm=True), num_classes)
    options = {"independent_examples": True, "num_classes": num_classes}
    if config.network.discriminator == "reads_class":
        network = MLPDiscriminator(head_outputs=num_classes, spectral_norm=config.network.discriminator_spectral_norm)
        return build_gan(config, generator, network, head=auxiliary_classifier(), **options)
    network = MLPDiscriminator(spectral_norm=config.network.discriminator_spectral_norm)
    return build_gan(config, generator, ConditionalDiscriminator(network, num_classes), **options)


EXPERIMENT = Experiment(
    file=__file__,
    family="GAN",
    summary="class-conditional GAN",
    data="MNIST",
    expected_time="7 min on 2 CPU cores",
    presets={
        "quick": DEFAULT.replace(steps=2_000, sample_every=200, checkpoint_every=1_000),
        "default": DEFAULT,
        "full": DEFAULT.replace(steps=100_000, checkpoint_every=10_000, sample_every=2_000),
    },
    load_data=lambda config: load_subset(config.data, config.run),
    build_model=build_model,
)


if __name__ == "__main__":
    EXPERIMENT.main()
