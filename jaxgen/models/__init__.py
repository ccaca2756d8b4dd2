"""Learning principles: how networks become a generative model.

Each principle is a frozen spec, exported here, and module-level functions over it: `init`, `train_step`, `eval_step`,
`sample` and what else it can do, in the module of the same subject (`jaxgen.models.gan.train_step(spec, ...)`).
`spec.model()` binds them as a `jaxgen.GenerativeModel`.
"""

from jaxgen.models.adversarial_autoencoder import AdversarialAutoencoder
from jaxgen.models.autoencoder import Autoencoder
from jaxgen.models.autoregressive import DALLE, AutoregressiveGrid, SequenceModel
from jaxgen.models.classifier import Classifier
from jaxgen.models.contrastive import Contrastive
from jaxgen.models.diffusion import Diffusion
from jaxgen.models.discrete_vae import DiscreteVAE
from jaxgen.models.gan import GAN, GANLoss
from jaxgen.models.image_to_image import CycleGAN, Restoration, Stylization, Translation
from jaxgen.models.stylegan2 import StyleGAN2
from jaxgen.models.text_vae import TextVAE
from jaxgen.models.vae import VAE, HierarchicalVAE
from jaxgen.models.vae_gan import VAEGAN
from jaxgen.models.vq_vae import VQVAE

__all__ = [
    "DALLE",
    "GAN",
    "VAE",
    "VAEGAN",
    "VQVAE",
    "AdversarialAutoencoder",
    "Autoencoder",
    "AutoregressiveGrid",
    "Classifier",
    "Contrastive",
    "CycleGAN",
    "Diffusion",
    "DiscreteVAE",
    "GANLoss",
    "HierarchicalVAE",
    "Restoration",
    "SequenceModel",
    "StyleGAN2",
    "Stylization",
    "TextVAE",
    "Translation",
]
