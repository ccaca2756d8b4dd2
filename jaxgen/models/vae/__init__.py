"""Variational autoencoders: the spec `VAE` and its functions, posteriors, and the ladder VAE, a VAE of several layers.

    spec = vae.VAE(encoder, decoder, posterior=vae.gaussian_posterior(20), likelihood=bernoulli(), optimizer=...)
    state = vae.init(spec, key, batch)
    state, metrics = vae.train_step(spec, state, batch, key)
    images = vae.sample(spec, state, key, 16)
    latents = vae.encode(spec, state, images)

p(x | z) is a likelihood of `jaxgen.models.likelihoods`.
"""

from jaxgen.models.vae.hierarchical import HierarchicalVAE, ladder_posterior
from jaxgen.models.vae.posteriors import Posterior, flow_posterior, gaussian_posterior, hamiltonian_posterior
from jaxgen.models.vae.principle import (
    decode,
    encode,
    eval_step,
    init,
    log_likelihood,
    log_weights,
    model,
    posterior,
    prior,
    reconstruct,
    sample,
    train_step,
)
from jaxgen.models.vae.spec import VAE

__all__ = [
    "VAE",
    "HierarchicalVAE",
    "Posterior",
    "decode",
    "encode",
    "eval_step",
    "flow_posterior",
    "gaussian_posterior",
    "hamiltonian_posterior",
    "init",
    "ladder_posterior",
    "log_likelihood",
    "log_weights",
    "model",
    "posterior",
    "prior",
    "reconstruct",
    "sample",
    "train_step",
]
