"""A VAE-GAN on MNIST (Larsen et al. 2016, https://arxiv.org/abs/1512.09300).

    python -m jaxgen.experiments.mnist_vae_gan
    jaxgen latent runs/mnist_vae_gan/001 reconstruct

The VAE's decoder is also the generator of a GAN, and its reconstructions are compared by the discriminator's features
rather than by pixels. An epoch is 469 steps.
"""

from dataclasses import dataclass

import optax

from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import NonNegativeFloat, Size
from jaxgen.core.types import Assets
from jaxgen.data import load
from jaxgen.experiments._adam import AdversarialAdamOptions
from jaxgen.experiments._gan import AdversarialOptions
from jaxgen.experiments._latents import LatentOptions
from jaxgen.experiments._scored import BEST_BY_FID
from jaxgen.models.vae_gan import VAEGAN
from jaxgen.networks.dcgan import DCGANEncoder, DCGANGenerator
from jaxgen.networks.feature_discriminator import FeatureDiscriminator
from jaxgen.runs.experiment import Experiment
from jaxgen.training.config import TrainConfig


@dataclass(frozen=True)
class VAEGANOptions(AdversarialOptions, LatentOptions):
    """The latents, and the losses of the networks."""

    feature_weight: NonNegativeFloat = 0.01
    """Weight of the feature-wise reconstruction in the decoder's loss, beside the adversarial one."""


@dataclass(frozen=True)
class NetworkOptions:
    """The networks, which are convolutional."""

    base_width: Size = 16
    """Channels of the encoder's and the discriminator's first layer and of the decoder's last hidden one."""


@dataclass(frozen=True)
class Config(TrainConfig):
    """Options of mnist_vae_gan."""

    model: VAEGANOptions = VAEGANOptions()
    network: NetworkOptions = NetworkOptions()
    optimizer: AdversarialAdamOptions = AdversarialAdamOptions()


DEFAULT = Config().replace(
    **BEST_BY_FID,
    steps=4_690,
    steps_per_dispatch=10,
    latent_size=32,
    learning_rate=3e-4,
    discriminator_learning_rate=3e-4,
    eval_every=1_173,
)


def build_model(config: Config, assets: Assets) -> GenerativeModel:
    """Return a `VAEGAN` with the networks of mnist_dcgan, whose discriminator also returns its features."""
    model, width, optimizer = config.model, config.network.base_width, config.optimizer
    image_shape = tuple(assets["image_shape"])
    return VAEGAN(
        DCGANEncoder(2 * model.latent_size, image_shape, width),
        DCGANGenerator(image_shape, width),
        FeatureDiscriminator((width, 2 * width), 8 * width),
        latent_size=model.latent_size,
        feature_weight=model.feature_weight,
        loss=model.loss,
        encoder_optimizer=optax.adam(optimizer.learning_rate, b1=0.5),
        decoder_optimizer=optax.adam(optimizer.learning_rate, b1=0.5),
        discriminator_optimizer=optax.adam(optimizer.discriminator_learning_rate, b1=0.5),
    ).model()


EXPERIMENT = Experiment(
    file=__file__,
    family="VAE",
    summary="VAE-GAN",
    data="MNIST",
    expected_time="22 min on 1 CPU core",
    presets={
        "quick": DEFAULT.replace(steps=200, base_width=8, sample_every=50, checkpoint_every=100, log_every=20),
        "default": DEFAULT,
        "full": DEFAULT.replace(
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
