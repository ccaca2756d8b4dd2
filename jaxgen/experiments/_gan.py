"""The options that every GAN experiment has, and how they become a model."""

from dataclasses import dataclass
from typing import Literal

import flax.linen as nn
import optax

from jaxgen.models import gan
from jaxgen.training.config import TrainConfig
from jaxgen.training.state import GenerativeModel


@dataclass(frozen=True)
class GANConfig(TrainConfig):
    """Options of a GAN."""

    latent_size: int = 100
    """Length of the latent vectors."""
    loss: Literal["non_saturating", "minimax"] = "non_saturating"
    """The adversarial loss (Goodfellow et al. 2014)."""
    discriminator_steps: int | None = None
    """None: both networks step at once. n: n discriminator steps for each generator step."""
    generator_learning_rate: float = 2e-4
    """Adam's learning rate for the generator."""
    discriminator_learning_rate: float = 2e-4
    """Adam's learning rate for the discriminator."""
    real_penalty: float = 0.0
    """Weight of the penalty on the discriminator's gradient at real images (R1's gamma). 0: none."""
    beta1: float = 0.5
    """Adam's decay of the first moment, for both networks."""
    ema_decay: float = 0.999
    """Decay of the moving average of the generator that samples are drawn with."""


@dataclass(frozen=True)
class MNISTGANConfig(GANConfig):
    """Options of a GAN of MNIST digits, which is scored while it is trained."""

    eval_every: int = 6_000
    """Steps between evaluations on the held-out examples. 0: only at the end."""
    eval_metrics: str | None = "fid"
    """Scores of samples at each evaluation, names with commas between them (fid,kid,..., see jaxgen evaluate)."""
    best_metric: str | None = "eval/fid"
    """Keep in checkpoints_best/ the checkpoint with the best value of this evaluation metric."""
    best_is: Literal["max", "min"] = "min"
    """Whether the largest or the smallest value of --best-metric is the best."""


def build_gan(
    config: GANConfig,
    generator: nn.Module,
    discriminator: nn.Module,
    *,
    independent_examples: bool,
    num_classes: int | None = None,
) -> GenerativeModel:
    """`jaxgen.models.gan` with the networks and these options."""
    return gan(
        generator,
        discriminator,
        latent_size=config.latent_size,
        loss=config.loss,
        generator_optimiser=optax.adam(config.generator_learning_rate, b1=config.beta1),
        discriminator_optimiser=optax.adam(config.discriminator_learning_rate, b1=config.beta1),
        discriminator_steps=config.discriminator_steps,
        ema_decay=config.ema_decay,
        independent_examples=independent_examples,
        num_classes=num_classes,
        real_penalty=config.real_penalty,
    )
