"""Options of Adam, shared by experiments."""

from dataclasses import dataclass

from jaxgen.core.options import PositiveFloat
from jaxgen.experiments._averages import AverageOptions


@dataclass(frozen=True)
class AdamOptions:
    """Adam, the optimizer."""

    learning_rate: PositiveFloat = 1e-3
    """Adam's learning rate."""


@dataclass(frozen=True)
class AveragedAdamOptions(AverageOptions, AdamOptions):
    """Adam, and the average of the weights."""


@dataclass(frozen=True)
class DiscriminatorAdamOptions:
    """Adam, for a discriminator."""

    discriminator_learning_rate: PositiveFloat = 2e-4
    """Adam's learning rate for the discriminator."""


@dataclass(frozen=True)
class AdversarialAdamOptions(DiscriminatorAdamOptions, AdamOptions):
    """Adam, for an autoencoder and for the discriminator that it is trained against."""
