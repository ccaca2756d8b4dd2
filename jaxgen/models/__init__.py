"""How networks become a generative model: losses, train step, sampling. One file per learning principle."""

from jaxgen.models.classifier import classifier
from jaxgen.models.gan import gan
from jaxgen.models.gan_losses import GANLoss
from jaxgen.models.hierarchical_vae import hierarchical_vae
from jaxgen.models.vae import vae

__all__ = ["GANLoss", "classifier", "gan", "hierarchical_vae", "vae"]
