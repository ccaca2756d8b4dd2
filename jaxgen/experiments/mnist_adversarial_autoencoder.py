"""An adversarial autoencoder on MNIST (Makhzani et al. 2016, https://arxiv.org/abs/1511.05644).

    python -m jaxgen.experiments.mnist_adversarial_autoencoder
    python -m jaxgen.experiments.mnist_adversarial_autoencoder --latent-size 2
    jaxgen latent runs/mnist_adversarial_autoencoder/001 manifold

A discriminator brings the latents to a standard normal distribution; the scores are of samples from it. An epoch is 469
steps.
"""

from dataclasses import dataclass

import optax

from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import Widths
from jaxgen.core.types import Assets
from jaxgen.data import load
from jaxgen.experiments._adam import AdversarialAdamOptions
from jaxgen.experiments._autoencoder import QUICK, AutoencoderOptions, FullyConnectedOptions, build_networks
from jaxgen.experiments._gan import AdversarialOptions, AdversarialWeightOptions
from jaxgen.experiments._scored import BEST_BY_FID
from jaxgen.models.adversarial_autoencoder import AdversarialAutoencoder
from jaxgen.networks.mlp import MLPDiscriminator
from jaxgen.runs.experiment import Experiment
from jaxgen.training.config import TrainConfig


@dataclass(frozen=True)
class AdversarialAutoencoderOptions(AdversarialWeightOptions, AdversarialOptions, AutoencoderOptions):
    """The latents, and the losses of the networks."""


@dataclass(frozen=True)
class NetworkOptions(FullyConnectedOptions):
    """The networks."""

    discriminator_widths: Widths = (256, 256)
    """Widths of the discriminator's hidden layers."""


@dataclass(frozen=True)
class Config(TrainConfig):
    """Options of mnist_adversarial_autoencoder."""

    model: AdversarialAutoencoderOptions = AdversarialAutoencoderOptions()
    network: NetworkOptions = NetworkOptions()
    optimizer: AdversarialAdamOptions = AdversarialAdamOptions()


DEFAULT = Config().replace(**BEST_BY_FID, steps=9_380, eval_every=2_345, latent_size=8, adversarial_weight=0.01)


def build_model(config: Config, assets: Assets) -> GenerativeModel:
    """Return an `AdversarialAutoencoder`, 784-512-256-8 and back by default."""
    model, optimizer = config.model, config.optimizer
    return AdversarialAutoencoder(
        *build_networks(model, config.network, assets),
        MLPDiscriminator(config.network.discriminator_widths),
        latent_size=model.latent_size,
        reconstruction=model.reconstruction,
        loss=model.loss,
        adversarial_weight=model.adversarial_weight,
        autoencoder_optimizer=optax.adam(optimizer.learning_rate, b1=0.5),
        discriminator_optimizer=optax.adam(optimizer.discriminator_learning_rate, b1=0.5),
    ).model()


EXPERIMENT = Experiment(
    file=__file__,
    family="VAE",
    summary="adversarial autoencoder",
    data="MNIST",
    expected_time="4 min on 1 CPU core",
    presets={
        "quick": DEFAULT.replace(**QUICK),
        "default": DEFAULT,
        "full": DEFAULT.replace(  # layers as in the paper, appendix A.1
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
