"""Diffusion models (Karras et al. 2022), with DDPM and flow matching as special cases.

    diffusion = Diffusion(network, image_shape=(28, 28, 1), preconditioning=edm(), noise_levels=lognormal(), ...)
    state = init(diffusion, key, batch)
    state, metrics = train_step(diffusion, state, batch, key)
    images = sample(diffusion, state, key, 16, sampler="heun", sampling_steps=18)

`noise_levels` has the levels of training and sampling, `preconditioning` what the network predicts, `samplers` the
samplers as plain functions of a denoiser, `probability_flow` the density along the flow.
"""

from jaxgen.models.diffusion.condition_sources import ConditionSource, caption_condition, class_condition
from jaxgen.models.diffusion.denoising import denoise, denoiser, inpaint, sample
from jaxgen.models.diffusion.latents import bits_per_dimension, decode, encode, log_likelihood, reconstruct
from jaxgen.models.diffusion.noise_levels import NoiseLevels, cosine_betas, flow_times, linear_betas, lognormal
from jaxgen.models.diffusion.preconditioning import PREDICTIONS, Preconditioning, edm
from jaxgen.models.diffusion.principle import denoising_loss, eval_step, init, model, train_step
from jaxgen.models.diffusion.samplers import SAMPLERS
from jaxgen.models.diffusion.spec import Diffusion

__all__ = [
    "PREDICTIONS",
    "SAMPLERS",
    "ConditionSource",
    "Diffusion",
    "NoiseLevels",
    "Preconditioning",
    "bits_per_dimension",
    "caption_condition",
    "class_condition",
    "cosine_betas",
    "decode",
    "denoise",
    "denoiser",
    "denoising_loss",
    "edm",
    "encode",
    "eval_step",
    "flow_times",
    "init",
    "inpaint",
    "linear_betas",
    "log_likelihood",
    "lognormal",
    "model",
    "reconstruct",
    "sample",
    "train_step",
]
