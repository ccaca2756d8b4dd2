"""Options of GANs, shared by experiments, and the model built from them."""

from dataclasses import dataclass
from typing import Annotated, Literal

import flax.linen as nn
import optax

from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import Count, Names, NonNegativeFloat, PositiveFloat, Rate, Size
from jaxgen.experiments._adam import DiscriminatorAdamOptions
from jaxgen.experiments._augmentation import AugmentationOptions, build_augmentation, named
from jaxgen.experiments._latents import LatentOptions
from jaxgen.models.gan.heads import Head
from jaxgen.models.gan.losses import LOSSES
from jaxgen.models.gan.penalties import PENALTIES
from jaxgen.models.gan.spec import GAN
from jaxgen.training.config import TrainConfig

PenaltyNames = Annotated[str, Names(tuple(PENALTIES))]
Loss = Literal[tuple(LOSSES)]


@dataclass(frozen=True)
class AdversarialWeightOptions:
    """The weight of an adversarial loss."""

    adversarial_weight: NonNegativeFloat = 1.0
    """Weight of the adversarial loss beside the others."""


@dataclass(frozen=True)
class AdversarialLossOptions(AdversarialWeightOptions):
    """The adversarial loss beside other losses."""

    adversarial_loss: Loss = "non_saturating"
    """Adversarial loss (see jaxgen.models.gan.losses)."""


@dataclass(frozen=True)
class AdversarialOptions:
    """The adversarial loss."""

    loss: Loss = "non_saturating"
    """Adversarial loss (see jaxgen.models.gan.losses)."""


@dataclass(frozen=True)
class GANOptions(AdversarialOptions, LatentOptions):
    """The latent vectors, and the training of generator and discriminator."""

    discriminator_steps: Count | None = None
    """Number of discriminator steps for each generator step. None: both networks step at once."""
    penalties: PenaltyNames | None = None
    """Discriminator regularizers, names separated by commas: r1, r2, r1_estimate, gradient_penalty (WGAN-GP), dragan,
    consistency (see jaxgen.models.gan.penalties). None: no regularizer."""
    penalty_weight: NonNegativeFloat = 10.0
    """Weight of each penalty."""
    penalty_every: Count = 1
    """Penalties are taken in every n-th step only, n times as strong."""


@dataclass(frozen=True)
class GANOptimizerOptions(DiscriminatorAdamOptions):
    """Adam for both networks, and the average that samples are drawn with."""

    generator_learning_rate: PositiveFloat = 2e-4
    """Adam's learning rate for the generator."""
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


@dataclass(frozen=True)
class GANConfig(TrainConfig):
    """Options of a GAN."""

    model: GANOptions = GANOptions()
    optimizer: GANOptimizerOptions = GANOptimizerOptions()
    augmentation: AugmentationOptions = AugmentationOptions()


@dataclass(frozen=True)
class DiscriminatorOptions:
    """The networks."""

    discriminator_spectral_norm: bool = False
    """Whether the discriminator's layers have spectral normalization."""


@dataclass(frozen=True)
class DCGANOptions(DiscriminatorOptions):
    """The networks, which are convolutional."""

    base_width: Size = 64
    """Channels of the generator's last hidden layer and of the discriminator's first."""


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

    model, options = config.model, config.optimizer

    def optimizer(rate: float, steps_per_update: int) -> optax.GradientTransformation:
        schedule: float | optax.Schedule = rate
        if options.decay_steps is not None:
            schedule = optax.linear_schedule(rate, 0.0, max(1, options.decay_steps // steps_per_update))
        adam = optax.adam(schedule, b1=options.beta1, b2=options.beta2)
        return adam if options.clip_norm is None else optax.chain(optax.clip_by_global_norm(options.clip_norm), adam)

    return GAN(
        generator,
        discriminator,
        latent_size=model.latent_size,
        loss=model.loss,
        generator_optimizer=optimizer(options.generator_learning_rate, model.discriminator_steps or 1),
        discriminator_optimizer=optimizer(options.discriminator_learning_rate, 1),
        discriminator_steps=model.discriminator_steps,
        ema_decay=options.ema_decay,
        independent_examples=independent_examples,
        num_classes=num_classes,
        head=head,
        penalties=dict.fromkeys(named(model.penalties), model.penalty_weight),
        penalty_every=model.penalty_every,
        augmentation=build_augmentation(config.augmentation),
    ).model()
