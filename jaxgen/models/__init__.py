"""How networks become a generative model: losses, train step, sampling. One file per learning principle."""

from jaxgen.models.adversarial_autoencoder import adversarial_autoencoder
from jaxgen.models.autoencoder import autoencoder
from jaxgen.models.autoregressive.grids import autoregressive
from jaxgen.models.autoregressive.sequences import sequence_model
from jaxgen.models.classifier import classifier
from jaxgen.models.gan.losses import GANLoss
from jaxgen.models.gan.spec import GAN
from jaxgen.models.stylegan2.spec import StyleGAN2
from jaxgen.models.vae.hierarchical import hierarchical_vae
from jaxgen.models.vae.principle import vae
from jaxgen.models.vae_gan import vae_gan
from jaxgen.models.vq_vae import vq_vae

__all__ = [
    "GAN",
    "GANLoss",
    "StyleGAN2",
    "adversarial_autoencoder",
    "autoencoder",
    "autoregressive",
    "classifier",
    "hierarchical_vae",
    "sequence_model",
    "vae",
    "vae_gan",
    "vq_vae",
]
