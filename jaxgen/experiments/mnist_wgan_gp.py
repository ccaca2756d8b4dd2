"""Wasserstein GAN with gradient penalty on MNIST (Gulrajani et al. 2017, https://arxiv.org/abs/1704.00028).

python -m jaxgen.experiments.mnist_wgan_gp
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import Count, CountFromZero, PositiveFloat, Rate, Size
from jaxgen.data import load
from jaxgen.experiments._gan import Loss, MNISTGANConfig, PenaltyNames, build_gan
from jaxgen.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from jaxgen.runs.experiment import Experiment


@dataclass(frozen=True)
class Config(MNISTGANConfig):
    """Options of mnist_wgan_gp: the paper's Algorithm 1."""

    steps: Count = 15_000
    """How many training steps the run has in all; each is one of the discriminator (the critic)."""
    batch_size: Count = 64
    """Examples per step, over all devices together."""
    steps_per_dispatch: Count = 20
    """Steps run on the device between two returns to Python (results do not depend on it)."""
    eval_every: CountFromZero = 3_000
    """Steps between evaluations on the held-out examples. 0: only at the end."""
    loss: Loss = "wasserstein"
    """The adversarial loss (jaxgen.models.gan.losses says whose)."""
    discriminator_steps: Count | None = 5
    """None: both networks step at once. n: n discriminator steps for each generator step."""
    penalties: PenaltyNames | None = "gradient_penalty"
    """What is added to the discriminator's loss, names with commas between them (jaxgen.models.gan.penalties)."""
    generator_learning_rate: PositiveFloat = 5e-4
    """Adam's learning rate for the generator."""
    discriminator_learning_rate: PositiveFloat = 5e-4
    """Adam's learning rate for the discriminator."""
    beta1: Rate = 0.0
    """Adam's decay of the first moment, for both networks."""
    beta2: Rate = 0.9
    """Adam's decay of the second moment, for both networks."""
    ema_decay: Rate = 0.99
    """Decay of the moving average of the generator that samples are drawn with, once it is warm."""
    base_width: Size = 32
    """Channels of the generator's last hidden layer and of the discriminator's first; the paper's is 64."""


def build_model(config: Config, assets: Mapping[str, Any]) -> GenerativeModel:
    """DCGANs; the discriminator has no batch norm, since the penalty is of each image's own gradient."""
    image_shape = tuple(assets["image_shape"])
    width = config.base_width
    discriminator = DCGANDiscriminator(
        image_shape,
        widths=(width, 2 * width, 4 * width),
        batch_norm=False,
        spectral_norm=config.discriminator_spectral_norm,
    )
    return build_gan(config, DCGANGenerator(image_shape, width), discriminator, independent_examples=True)


EXPERIMENT = Experiment(
    file=__file__,
    family="GAN",
    summary="Wasserstein GAN with gradient penalty",
    data="MNIST",
    expected_time="22 min on 1 CPU core",
    presets={
        "quick": Config(steps=500, sample_every=100, checkpoint_every=250),
        "default": Config(),
        "full": Config(
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
