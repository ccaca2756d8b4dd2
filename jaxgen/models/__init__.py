"""How networks become a generative model: losses, train step, sampling. One file per learning principle."""

from jaxgen.models.adversarial_autoencoder import adversarial_autoencoder
from jaxgen.models.autoencoder import autoencoder
from jaxgen.models.autoregressive import autoregressive
from jaxgen.models.classifier import classifier
from jaxgen.models.gan import gan
from jaxgen.models.gan_losses import GANLoss
from jaxgen.models.hierarchical_vae import hierarchical_vae
from jaxgen.models.sequence import sequence_model
from jaxgen.models.vae import vae
from jaxgen.models.vae_gan import vae_gan
from jaxgen.models.vq_vae import vq_vae

__all__ = [
    "GANLoss",
    "adversarial_autoencoder",
    "autoencoder",
    "autoregressive",
    "classifier",
    "gan",
    "hierarchical_vae",
    "sequence_model",
    "vae",
    "vae_gan",
    "vq_vae",
]
