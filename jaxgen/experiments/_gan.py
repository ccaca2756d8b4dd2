"""The options that every GAN experiment has, and how they become a model."""

from dataclasses import dataclass
from typing import Annotated, Literal

import flax.linen as nn
import optax

from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import Count, CountFromZero, Names, NonNegativeFloat, PositiveFloat, Rate, Size
from jaxgen.experiments._augmentation import AugmentationConfig, build_augmentation, named
from jaxgen.experiments._scored import BestByFID
from jaxgen.models.gan.heads import Head
from jaxgen.models.gan.losses import LOSSES
from jaxgen.models.gan.penalties import PENALTIES
from jaxgen.models.gan.spec import GAN
from jaxgen.training.config import TrainConfig

PenaltyNames = Annotated[str, Names(tuple(PENALTIES))]
Loss = Literal[tuple(LOSSES)]


@dataclass(frozen=True)
class GANConfig(AugmentationConfig, TrainConfig):
    """Options of a GAN."""

    latent_size: Size = 100
    """Length of the latent vectors."""
    loss: Loss = "non_saturating"
    """Adversarial loss (see jaxgen.models.gan.losses)."""
    discriminator_steps: Count | None = None
    """Discriminator steps for each generator step. None: both networks step at once."""
    generator_learning_rate: PositiveFloat = 2e-4
    """Adam's learning rate for the generator."""
    discriminator_learning_rate: PositiveFloat = 2e-4
    """Adam's learning rate for the discriminator."""
    decay_steps: Count | None = None
    """Step at which both learning rates reach 0, after a linear decay. None: they are constant."""
    beta1: Rate = 0.5
    """Adam's decay of the first moment, for both networks."""
    beta2: Rate = 0.999
    """Adam's decay of the second moment, for both networks."""
    clip_norm: PositiveFloat | None = None
    """Maximum global norm of a network's gradient; longer ones are scaled down. None: no limit."""
    ema_decay: Rate = 0.999
    """Decay of the moving average of the generator that samples are drawn with, once it is warm."""
    penalties: PenaltyNames | None = None
    """Discriminator regularizers, names separated by commas: r1, r2, r1_estimate, gradient_penalty (WGAN-GP), dragan,
    consistency (see jaxgen.models.gan.penalties)."""
    penalty_weight: NonNegativeFloat = 10.0
    """Weight of each penalty."""
    penalty_every: Count = 1
    """Penalties are taken in every n-th step only, n times as strong."""


@dataclass(frozen=True)
class PlainDiscriminatorConfig:
    """What a config gets by naming this before the class of its other options, where it has no norm of its own."""

    discriminator_spectral_norm: bool = False
    """Whether the discriminator's layers have spectral normalization."""


@dataclass(frozen=True)
class MNISTGANConfig(BestByFID, PlainDiscriminatorConfig, GANConfig):
    """Options of a GAN of MNIST digits, which is scored while it is trained."""

    eval_every: CountFromZero = 6_000
    """Steps between evaluations on the held-out examples. 0: only at the end."""


def build_gan(
    config: GANConfig,
    generator: nn.Module,
    discriminator: nn.Module,
    *,
    independent_examples: bool,
    num_classes: int | None = None,
    head: Head | None = None,
) -> GenerativeModel:
    """Return `jaxgen.models.GAN` with the networks and these options.

    Raises:
      UserError: an unknown penalty or augmentation, or a number of steps below 1.
    """

    def optimizer(rate: float, steps_per_update: int) -> optax.GradientTransformation:
        if config.decay_steps is not None:
            rate = optax.linear_schedule(rate, 0.0, max(1, config.decay_steps // steps_per_update))
        adam = optax.adam(rate, b1=config.beta1, b2=config.beta2)
        return adam if config.clip_norm is None else optax.chain(optax.clip_by_global_norm(config.clip_norm), adam)

    return GAN(
        generator,
        discriminator,
        latent_size=config.latent_size,
        loss=config.loss,
        generator_optimizer=optimizer(config.generator_learning_rate, config.discriminator_steps or 1),
        discriminator_optimizer=optimizer(config.discriminator_learning_rate, 1),
        discriminator_steps=config.discriminator_steps,
        ema_decay=config.ema_decay,
        independent_examples=independent_examples,
        num_classes=num_classes,
        head=head,
        penalties=dict.fromkeys(named(config.penalties), config.penalty_weight),
        penalty_every=config.penalty_every,
        augmentation=build_augmentation(config),
    ).model()
