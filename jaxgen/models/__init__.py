"""How networks become a generative model: losses, train step, sampling. One file per learning principle."""

from jaxgen.models.adversarial_autoencoder import AdversarialAutoencoder
from jaxgen.models.autoencoder import autoencoder
from jaxgen.models.autoregressive.dall_e import DALLE
from jaxgen.models.autoregressive.grids import AutoregressiveGrid
from jaxgen.models.autoregressive.sequences import SequenceModel
from jaxgen.models.classifier import classifier
from jaxgen.models.gan.losses import GANLoss
from jaxgen.models.gan.spec import GAN
from jaxgen.models.stylegan2.spec import StyleGAN2
from jaxgen.models.vae.hierarchical import hierarchical_vae
from jaxgen.models.vae.principle import vae
from jaxgen.models.vae_gan import VAEGAN
from jaxgen.models.vq_vae import vq_vae

__all__ = [
    "DALLE",
    "GAN",
    "VAEGAN",
    "AdversarialAutoencoder",
    "AutoregressiveGrid",
    "GANLoss",
    "SequenceModel",
    "StyleGAN2",
    "autoencoder",
    "classifier",
    "hierarchical_vae",
    "vae",
    "vq_vae",
]
