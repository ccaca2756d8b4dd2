"""Generative adversarial networks (Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661)."""

from functools import partial

import jax
import jax.numpy as jnp

from jaxgen.core.model import Condition, GenerativeModel, Latents
from jaxgen.core.state import TrainState, averaged_params, create_state
from jaxgen.core.types import Batch, Key, Metrics, present
from jaxgen.models.conditional_samples import classes_in_turn, decoding_labels
from jaxgen.models.gan.forward import Outputs, apply_discriminator, discriminator_args, generator_args
from jaxgen.models.gan.parts import init_ada_probability
from jaxgen.models.gan.spec import GAN
from jaxgen.models.gan.step_inputs import sample_latents, sample_step_inputs
from jaxgen.models.gan.steps import metrics_of_both, train_step
from jaxgen.models.variables import apply_network, init_network


def init(gan: GAN, key: Key, batch: Batch) -> TrainState:
    """Return the state at step 0."""
    run_key, generator_key, discriminator_key = jax.random.split(key, 3)
    images = batch["image"]
    latents = jnp.zeros((images.shape[0], gan.latent_size), images.dtype)
    labels = None if gan.num_classes is None else jnp.zeros(images.shape[:1], jnp.int32)
    params, model_state = {}, dict(init_ada_probability(gan.augmentation))
    for name, network, network_key, inputs in (
        ("generator", gan.generator, generator_key, generator_args(latents, labels)),
        ("discriminator", gan.discriminator, discriminator_key, discriminator_args(gan, images, labels)),
    ):
        params[name], model_state[name] = init_network(network, network_key, *inputs)
    averaged = () if gan.ema_decay is None else ("generator",)
    return create_state(run_key, params, gan.optimizers, model_state=model_state, averaged=averaged)


def eval_step(gan: GAN, state: TrainState, batch: Batch, key: Key) -> Metrics:
    """Return the discriminator's metrics of held-out examples and of as many generated ones."""
    inputs = sample_step_inputs(gan, key, batch)
    fake = decode(gan, state, *generator_args(inputs.latents, inputs.labels))
    real_outputs, fake_outputs = (_outputs(gan, state, images, inputs.labels) for images in (batch["image"], fake))
    return metrics_of_both(gan, real_outputs, fake_outputs, inputs)


def sample(gan: GAN, state: TrainState, key: Key, num_samples: int, *, condition: jax.Array | None = None) -> jax.Array:
    """Generate images [num_samples, H, W, C] of the labels `condition` [num_samples]; None: of every class in turn."""
    labels = decoding_labels(condition, num_samples, gan.num_classes)
    return decode(gan, state, prior(gan, key, num_samples), *labels)


def prior(gan: GAN, key: Key, num_samples: int) -> jax.Array:
    """Sample latents [num_samples, L]; latent i is the same, however many are drawn."""
    return sample_latents(gan, key, jnp.arange(num_samples, dtype=jnp.uint32))


def decode(gan: GAN, state: TrainState, latents: jax.Array, *condition: jax.Array) -> jax.Array:
    """Generate images [N, H, W, C] from latents [N, L] (and labels [N]) with the averaged generator."""
    params, model_state = averaged_params(state, "generator"), state.model_state["generator"]
    return apply_network(gan.generator, params, model_state, latents, *condition, train=False)[0]


def discriminate(gan: GAN, state: TrainState, images: jax.Array, *condition: jax.Array) -> jax.Array:
    """Return the discriminator's logits [N] of images [N, H, W, C] (and labels [N])."""
    return _outputs(gan, state, images, *(condition or (None,))).logits


def read_head(gan: GAN, state: TrainState, images: jax.Array) -> jax.Array:
    """Return the outputs [N, K] of the discriminator's head for images [N, H, W, C]."""
    return present(_outputs(gan, state, images, None).head)


def model(gan: GAN) -> GenerativeModel:
    """Bind these functions to a spec; InfoGAN's continuous codes are the latents' `code_dimensions`."""
    codes = 0 if gan.head is None else gan.head.uniform_latents
    return GenerativeModel(
        partial(init, gan),
        partial(train_step, gan),
        partial(eval_step, gan),
        partial(sample, gan),
        latents=Latents(
            prior=partial(prior, gan),
            decode=partial(decode, gan),
            code_dimensions=tuple(range(gan.latent_size - codes, gan.latent_size)),
        ),
        condition=None if gan.num_classes is None else Condition("class", classes_in_turn(gan.num_classes)),
        discriminate=partial(discriminate, gan),
    )


def _outputs(gan: GAN, state: TrainState, images: jax.Array, labels: jax.Array | None) -> Outputs:
    """Return the discriminator's outputs after training."""
    return apply_discriminator(gan, state, state.params["discriminator"], images, labels, train=False)[0]
