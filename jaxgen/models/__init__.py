"""How networks become a generative model: losses, train step, sampling. One file per learning principle."""

from jaxgen.models.classifier import classifier
from jaxgen.models.gan import gan
from jaxgen.models.gan_losses import GANLoss

__all__ = ["GANLoss", "classifier", "gan"]
