"""StyleGAN2: the spec `StyleGAN2`, its functions, and the optimizer for lazy penalties, `lazy_adam`.

    spec = stylegan2.StyleGAN2(generator, discriminator, latent_size=512, generator_optimizer=lazy_adam(2e-3, 4), ...)
    state = stylegan2.init(spec, key, batch)
    state, metrics = stylegan2.train_step(spec, state, batch, key)
    images = stylegan2.sample(spec, state, key, 16, truncation=0.7)

R1 and the path length penalty are lazy: each is taken in every n-th step only.
"""

from jaxgen.models.stylegan2.parts import lazy_adam
from jaxgen.models.stylegan2.principle import (
    decode,
    discriminate,
    eval_step,
    fixed_noise,
    init,
    map_latents,
    model,
    prior,
    sample,
    synthesize,
    w_avg,
)
from jaxgen.models.stylegan2.spec import StyleGAN2
from jaxgen.models.stylegan2.steps import train_step

__all__ = [
    "StyleGAN2",
    "decode",
    "discriminate",
    "eval_step",
    "fixed_noise",
    "init",
    "lazy_adam",
    "map_latents",
    "model",
    "prior",
    "sample",
    "synthesize",
    "train_step",
    "w_avg",
]
