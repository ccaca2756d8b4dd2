"""StyleGAN2 (Karras et al. 2020, https://arxiv.org/abs/1912.04958), with adaptive augmentation (arXiv:2006.06676)."""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp

from jaxgen.core.keys import example_normal
from jaxgen.core.model import Condition, GenerativeModel, Latents, Styles
from jaxgen.core.state import TrainState, averaged_params, create_state
from jaxgen.core.types import Batch, Key, Metrics
from jaxgen.models.conditional_samples import classes_in_turn, decoding_labels, normal_prior
from jaxgen.models.gan.parts import discriminator_metrics, init_ada_probability
from jaxgen.models.stylegan2.forward import (
    apply_discriminator,
    apply_mapping,
    apply_synthesis,
    labels_of,
    noise_images,
)
from jaxgen.models.stylegan2.spec import StyleGAN2
from jaxgen.models.stylegan2.steps import LOSS, train_step
from jaxgen.models.variables import init_network
from jaxgen.networks.stylegan2 import draw_noise


def init(gan: StyleGAN2, key: Key, batch: Batch) -> TrainState:
    """Return the state at step 0."""
    run_key, generator_key, discriminator_key = jax.random.split(key, 3)
    images, labels = batch["image"], ()
    if gan.num_classes is not None:
        labels = (jnp.zeros(images.shape[:1], jnp.int32),)
    latents = jnp.zeros((len(images), gan.latent_size), images.dtype)
    params = {
        "generator": init_network(gan.generator, generator_key, latents, *labels)[0],
        "discriminator": init_network(gan.discriminator, discriminator_key, images, *labels)[0],
    }
    model_state = dict(init_ada_probability(gan.augmentation))
    model_state["average_style"] = {"mean": jnp.zeros(gan.generator.style_size)}
    if gan.path_weight:
        model_state["path_length"] = {"mean": jnp.zeros(())}
    return create_state(run_key, params, gan.optimizers, model_state=model_state, averaged=("generator",))


def eval_step(gan: StyleGAN2, state: TrainState, batch: Batch, key: Key) -> Metrics:
    """Return the discriminator's metrics of held-out examples and of as many generated ones."""
    latents_key, noise_key = jax.random.split(key)
    index, labels = batch["index"], labels_of(gan, batch)
    styles = map_latents(gan, state, example_normal(latents_key, index, (gan.latent_size,)), *labels)
    fake = jnp.clip(synthesize(gan, state, styles, noise_images(gan, noise_key, index)), -1.0, 1.0)
    real_logits, fake_logits = (discriminate(gan, state, images, *labels) for images in (batch["image"], fake))
    return discriminator_metrics(LOSS.discriminator(real_logits, fake_logits), real_logits, fake_logits)


def sample(  # its keywords are what `jaxgen sample` and `jaxgen evaluate` offer
    gan: StyleGAN2,
    state: TrainState,
    key: Key,
    num_samples: int,
    *,
    condition: jax.Array | None = None,
    truncation: float = 1.0,
) -> jax.Array:
    """Generate images [num_samples, H, W, C] of the labels `condition` [num_samples]; None: of every class in turn."""
    labels = decoding_labels(condition, num_samples, gan.num_classes)
    latents_key, noise_key = jax.random.split(key)
    styles = map_latents(gan, state, prior(gan, latents_key, num_samples), *labels, truncation=truncation)
    noise = noise_images(gan, noise_key, jnp.arange(num_samples, dtype=jnp.uint32))
    return jnp.clip(synthesize(gan, state, styles, noise), -1.0, 1.0)


def prior(gan: StyleGAN2, key: Key, num_samples: int) -> jax.Array:
    """Sample normal latents [num_samples, L]; latent i is the same, however many are drawn."""
    return normal_prior(gan.latent_size)(key, num_samples)


def decode(
    gan: StyleGAN2,
    state: TrainState,
    latents: jax.Array,
    *condition: jax.Array,
    truncation: float | jax.Array = 1.0,
) -> jax.Array:
    """Generate images [N, H, W, C] from latents [N, L] (and labels [N]), with the fixed noise."""
    styles = map_latents(gan, state, latents, *condition, truncation=truncation)
    return jnp.clip(synthesize(gan, state, styles), -1.0, 1.0)


def map_latents(
    gan: StyleGAN2,
    state: TrainState,
    latents: jax.Array,
    *condition: jax.Array,
    truncation: float | jax.Array = 1.0,
) -> jax.Array:
    """Map latents [N, L] (and labels [N]) to styles [N, K, S], the same for all K layers: w_avg + t (w - w_avg)."""
    style = apply_mapping(gan, averaged_params(state, "generator"), latents, condition)
    average = w_avg(gan, state)
    return jnp.repeat((average + truncation * (style - average))[:, None], gan.num_styles, 1)


def synthesize(
    gan: StyleGAN2, state: TrainState, styles: jax.Array, noise: Sequence[jax.Array] | None = None
) -> jax.Array:
    """Synthesize images [N, H, W, C], not clipped, from styles [N, K, S] and noise images; None: the fixed ones."""
    noise = fixed_noise(gan) if noise is None else noise
    return apply_synthesis(gan, averaged_params(state, "generator"), styles, noise)


def w_avg(gan: StyleGAN2, state: TrainState) -> jax.Array:
    """Return the average style [S]."""
    del gan
    return state.model_state["average_style"]["mean"]


def fixed_noise(gan: StyleGAN2) -> list[jax.Array]:
    """Return noise images that are always the same."""
    return draw_noise(jax.random.key(0)[None], gan.image_shape)


def discriminate(gan: StyleGAN2, state: TrainState, images: jax.Array, *condition: jax.Array) -> jax.Array:
    """Return the discriminator's logits [N] of images [N, H, W, C] (and labels [N]); they depend on the batch."""
    return apply_discriminator(gan, state.params["discriminator"], images, condition, train=False)


def model(gan: StyleGAN2) -> GenerativeModel:
    """Bind these functions to a spec."""
    return GenerativeModel(
        partial(init, gan),
        partial(train_step, gan),
        partial(eval_step, gan),
        partial(sample, gan),
        latents=Latents(partial(prior, gan), partial(decode, gan)),
        condition=None if gan.num_classes is None else Condition("class", classes_in_turn(gan.num_classes)),
        discriminate=partial(discriminate, gan),
        styles=Styles(
            of_latents=partial(map_latents, gan),
            synthesize=partial(synthesize, gan),
            average=partial(w_avg, gan),
            fixed_noise=partial(fixed_noise, gan),
        ),
    )
