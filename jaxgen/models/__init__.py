"""How networks become a generative model: losses, train step, sampling. One file per learning principle."""

from jaxgen.models.adversarial_autoencoder import adversarial_autoencoder
from jaxgen.models.autoencoder import Autoencoder
from jaxgen.models.autoregressive.grids import autoregressive
from jaxgen.models.autoregressive.sequences import sequence_model
from jaxgen.models.classifier import Classifier
from jaxgen.models.contrastive import Contrastive
from jaxgen.models.discrete_vae import DiscreteVAE
from jaxgen.models.gan.losses import GANLoss
from jaxgen.models.gan.principle import gan
from jaxgen.models.text_vae import TextVAE
from jaxgen.models.vae import VAE, HierarchicalVAE
from jaxgen.models.vae_gan import vae_gan
from jaxgen.models.vq_vae import VQVAE

__all__ = [
    "VAE",
    "VQVAE",
    "Autoencoder",
    "Classifier",
    "Contrastive",
    "DiscreteVAE",
    "GANLoss",
    "HierarchicalVAE",
    "TextVAE",
    "adversarial_autoencoder",
    "autoregressive",
    "gan",
    "sequence_model",
    "vae_gan",
]
