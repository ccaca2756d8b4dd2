"""How networks become a generative model: losses, train step, sampling. One file per learning principle."""

from jaxgen.models.classifier import classifier
from jaxgen.models.gan import GANLoss, gan

__all__ = ["GANLoss", "classifier", "gan"]
