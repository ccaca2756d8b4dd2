"""Generative adversarial networks: the spec `GAN` and its functions, losses, penalties and heads.

    spec = gan.GAN(generator, discriminator, latent_size=64, generator_optimizer=..., discriminator_optimizer=...)
    state = gan.init(spec, key, batch)
    state, metrics = gan.train_step(spec, state, batch, key)
    images = gan.sample(spec, state, key, 16)

`LOSSES` and `PENALTIES` are those with a name; any other `GANLoss` does as `loss`.
"""

from jaxgen.models.gan.heads import Head, auxiliary_classifier, mutual_information
from jaxgen.models.gan.losses import LOSSES, GANLoss
from jaxgen.models.gan.penalties import PENALTIES
from jaxgen.models.gan.principle import decode, discriminate, eval_step, init, model, prior, read_head, sample
from jaxgen.models.gan.spec import GAN
from jaxgen.models.gan.steps import train_step

__all__ = [
    "GAN",
    "LOSSES",
    "PENALTIES",
    "GANLoss",
    "Head",
    "auxiliary_classifier",
    "decode",
    "discriminate",
    "eval_step",
    "init",
    "model",
    "mutual_information",
    "prior",
    "read_head",
    "sample",
    "train_step",
]
