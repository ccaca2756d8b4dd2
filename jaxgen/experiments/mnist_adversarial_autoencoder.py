"""An adversarial autoencoder on MNIST (Makhzani et al. 2016, https://arxiv.org/abs/1511.05644).

    python -m jaxgen.experiments.mnist_adversarial_autoencoder
    python -m jaxgen.experiments.mnist_adversarial_autoencoder --latent-size 2
    jaxgen latent runs/mnist_adversarial_autoencoder/001 manifold

A discriminator brings the latents to a standard normal distribution; the scores are of samples from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import optax

from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import CountFromZero, NonNegativeFloat, PositiveFloat, Size, Widths
from jaxgen.data import load
from jaxgen.experiments._autoencoder import AutoencoderConfig, build_networks
from jaxgen.experiments._gan import Loss
from jaxgen.experiments._scored import BestByFID
from jaxgen.models.adversarial_autoencoder import AdversarialAutoencoder
from jaxgen.networks.mlp import MLPDiscriminator
from jaxgen.runs.experiment import Experiment


@dataclass(frozen=True)
class Config(BestByFID, AutoencoderConfig):
    """Options of mnist_adversarial_autoencoder."""

    latent_size: Size = 8
    """Length of the latent vectors."""
    loss: Loss = "non_saturating"
    """Adversarial loss (see jaxgen.models.gan.losses)."""
    adversarial_weight: NonNegativeFloat = 0.01
    """Weight of the adversarial loss in the encoder's loss, beside the reconstruction."""
    discriminator_widths: Widths = (256, 256)
    """Hidden layers of the discriminator."""
    discriminator_learning_rate: PositiveFloat = 2e-4
    """Adam's learning rate for the discriminator."""
    eval_every: CountFromZero = 2_345
    """Steps between evaluations on the held-out examples. 0: only at the end."""


def build_model(config: Config, assets: Mapping[str, Any]) -> GenerativeModel:
    """784-512-256-8 and back by default."""
    return AdversarialAutoencoder(
        *build_networks(config, assets),
        MLPDiscriminator(config.discriminator_widths),
        latent_size=config.latent_size,
        reconstruction=config.reconstruction,
        loss=config.loss,
        adversarial_weight=config.adversarial_weight,
        autoencoder_optimizer=optax.adam(config.learning_rate, b1=0.5),
        discriminator_optimizer=optax.adam(config.discriminator_learning_rate, b1=0.5),
    ).model()


EXPERIMENT = Experiment(
    file=__file__,
    family="VAE",
    summary="adversarial autoencoder",
    data="MNIST",
    expected_time="4 min on 1 CPU core",
    presets={
        "quick": Config(steps=938, sample_every=469, checkpoint_every=469),
        "default": Config(),
        "full": Config(  # layers as in the paper, appendix A.1
            steps=234_500,
            widths=(1000, 1000),
            discriminator_widths=(1000, 1000),
            sample_every=9_380,
            checkpoint_every=9_380,
            eval_every=9_380,
        ),
    },
    load_data=lambda config: load("mnist"),
    build_model=build_model,
)


if __name__ == "__main__":
    EXPERIMENT.main()
