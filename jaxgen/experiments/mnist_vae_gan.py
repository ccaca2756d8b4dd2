"""A VAE-GAN on MNIST (Larsen et al. 2016, https://arxiv.org/abs/1512.09300).

    python -m jaxgen.experiments.mnist_vae_gan
    jaxgen latent runs/mnist_vae_gan/001 reconstruct

A VAE whose decoder is also the generator of a GAN, and whose reconstructions are compared by the discriminator's
features rather than by pixels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import optax

from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import Count, CountFromZero, NonNegativeFloat, PositiveFloat, Size
from jaxgen.data import load
from jaxgen.experiments._gan import Loss
from jaxgen.experiments._scored import BestByFID
from jaxgen.models.vae_gan import VAEGAN
from jaxgen.networks.dcgan import DCGANEncoder, DCGANGenerator
from jaxgen.networks.feature_discriminator import FeatureDiscriminator
from jaxgen.runs.experiment import Experiment
from jaxgen.training.config import TrainConfig


@dataclass(frozen=True)
class Config(BestByFID, TrainConfig):
    """Options of mnist_vae_gan."""

    steps: Count = 4_690
    """How many training steps the run has in all (469 are one epoch of MNIST with --batch-size 128)."""
    steps_per_dispatch: Count = 10
    """Steps run on the device between two returns to Python (results do not depend on it)."""
    latent_size: Size = 32
    """Length of the latent vectors."""
    base_width: Size = 16
    """Channels of the encoder's and the discriminator's first layer and of the decoder's last hidden one."""
    feature_weight: NonNegativeFloat = 0.01
    """Weight of the feature-wise reconstruction in the decoder's loss, beside the adversarial one."""
    loss: Loss = "non_saturating"
    """Adversarial loss (see jaxgen.models.gan.losses)."""
    learning_rate: PositiveFloat = 3e-4
    """Adam's learning rate for encoder and decoder."""
    discriminator_learning_rate: PositiveFloat = 3e-4
    """Adam's learning rate for the discriminator."""
    eval_every: CountFromZero = 1_173
    """Steps between evaluations on the held-out examples. 0: only at the end."""


def build_model(config: Config, assets: Mapping[str, Any]) -> GenerativeModel:
    """The networks of mnist_dcgan, and a discriminator that also gives its features."""
    image_shape = tuple(assets["image_shape"])
    return VAEGAN(
        DCGANEncoder(2 * config.latent_size, image_shape, config.base_width),
        DCGANGenerator(image_shape, config.base_width),
        FeatureDiscriminator((config.base_width, 2 * config.base_width), 8 * config.base_width),
        latent_size=config.latent_size,
        feature_weight=config.feature_weight,
        loss=config.loss,
        encoder_optimizer=optax.adam(config.learning_rate, b1=0.5),
        decoder_optimizer=optax.adam(config.learning_rate, b1=0.5),
        discriminator_optimizer=optax.adam(config.discriminator_learning_rate, b1=0.5),
    ).model()


EXPERIMENT = Experiment(
    file=__file__,
    family="VAE",
    summary="VAE-GAN",
    data="MNIST",
    expected_time="22 min on 1 CPU core",
    presets={
        "quick": Config(steps=200, base_width=8, sample_every=50, checkpoint_every=100, log_every=20),
        "default": Config(),
        "full": Config(
            steps=93_800,
            base_width=64,
            latent_size=128,
            steps_per_dispatch=50,
            sample_every=4_690,
            checkpoint_every=4_690,
            eval_every=4_690,
        ),
    },
    load_data=lambda config: load("mnist"),
    build_model=build_model,
)


if __name__ == "__main__":
    EXPERIMENT.main()
