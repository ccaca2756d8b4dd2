"""A plain or denoising autoencoder on MNIST (Vincent et al. 2008, "Extracting and composing robust features").

    python -m jaxgen.experiments.mnist_autoencoder
    python -m jaxgen.experiments.mnist_autoencoder --masking 0.25 --noise-level 0.2
    jaxgen latent runs/mnist_autoencoder/001 scatter

eval/autoencoder/loss is that of the 10,000 test images, corrupted as in training; if they are corrupted,
eval/autoencoder/clean_loss is that of the clean images. Samples are decoded from a Gaussian that has the mean and
covariance of the codes. An epoch is 469 steps.
"""

from dataclasses import dataclass

import optax

from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import NonNegativeFloat, Rate
from jaxgen.core.types import Assets
from jaxgen.data import load
from jaxgen.experiments._adam import AdamOptions
from jaxgen.experiments._autoencoder import QUICK, AutoencoderOptions, FullyConnectedOptions, build_networks
from jaxgen.models.autoencoder import Autoencoder
from jaxgen.runs.experiment import Experiment
from jaxgen.training.config import TrainConfig


@dataclass(frozen=True)
class CorruptionOptions:
    """How training images are corrupted, for a denoising autoencoder."""

    noise_level: NonNegativeFloat = 0.0
    """Standard deviation of noise on training images, in units of [-1, 1]."""
    masking: Rate = 0.0
    """Fraction of the pixels of each training image that become black."""


@dataclass(frozen=True)
class Config(TrainConfig):
    """Options of mnist_autoencoder."""

    corruption: CorruptionOptions = CorruptionOptions()
    model: AutoencoderOptions = AutoencoderOptions()
    network: FullyConnectedOptions = FullyConnectedOptions()
    optimizer: AdamOptions = AdamOptions()


DEFAULT = Config().replace(steps=9_380, eval_every=938, latent_size=16)


def build_model(config: Config, assets: Assets) -> GenerativeModel:
    """Return an `Autoencoder`, 784-512-256-16 and back by default."""
    return Autoencoder(
        *build_networks(config.model, config.network, assets),
        latent_size=config.model.latent_size,
        noise_level=config.corruption.noise_level,
        masking=config.corruption.masking,
        loss=config.model.reconstruction,
        optimizer=optax.adam(config.optimizer.learning_rate),
    ).model()


EXPERIMENT = Experiment(
    file=__file__,
    family="VAE",
    summary="plain and denoising autoencoder",
    data="MNIST",
    expected_time="3 min on 1 CPU core",
    presets={
        "quick": DEFAULT.replace(**QUICK, eval_every=0),
        "default": DEFAULT,
        "full": DEFAULT.replace(
            steps=93_800, widths=(1000, 500, 250), latent_size=30, sample_every=9_380, eval_every=9_380
        ),
    },
    load_data=lambda config: load("mnist"),
    build_model=build_model,
)


if __name__ == "__main__":
    EXPERIMENT.main()
