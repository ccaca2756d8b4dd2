"""The training step of a StyleGAN2: an update of each network, and in some steps one more by a regularizer."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from jaxgen.core.errors import UserError
from jaxgen.core.keys import example_keys, example_normal
from jaxgen.core.reductions import mean_over_devices
from jaxgen.core.state import TrainState, sum_and_count, update, update_average
from jaxgen.core.types import Batch, Key, Metrics, Params
from jaxgen.models.gan.losses import LOSSES
from jaxgen.models.gan.parts import (
    augment,
    augmentation_metrics,
    discriminator_metrics,
    no_metric,
    update_ada_probability,
    with_model_state,
)
from jaxgen.models.gan.penalties import zero_centered_penalty
from jaxgen.models.stylegan2.forward import apply_discriminator, apply_synthesis, draw_styles, labels_of, noise_images
from jaxgen.models.stylegan2.parts import path_lengths, update_mean_path_length
from jaxgen.models.stylegan2.spec import StyleGAN2

LOSS = LOSSES["non_saturating"]


def train_step(gan: StyleGAN2, state: TrainState, batch: Batch, key: Key) -> tuple[TrainState, Metrics]:
    """Update both networks, in some steps also by their regularizers.

    Raises:
      UserError: the batch is no multiple of `path_share`.
    """
    generator_key, path_key, discriminator_key, r1_key = jax.random.split(key, 4)
    state, metrics = _update_generator(gan, state, batch, generator_key)
    if gan.path_weight:
        if len(batch["image"]) % gan.path_share:
            raise UserError(
                f"The path length is taken of one in {gan.path_share} examples, which a batch of "
                f"{len(batch['image'])} on each device cannot be split into: choose another --batch-size."
            )
        names = ("generator/path_penalty", "generator/path_length")
        state, more = _lazily(gan, _update_path_length, gan.path_every, names, state, batch, path_key)
        metrics |= more
    state, more = _update_discriminator(gan, state, batch, discriminator_key)
    metrics |= more
    if gan.r1_weight:
        state, more = _lazily(gan, _update_r1, gan.r1_every, ("discriminator/r1",), state, batch, r1_key)
        metrics |= more
    metrics |= augmentation_metrics(state, len(batch["image"]))
    state = update_average(state, "generator", gan.ema_decay)
    return state.replace(step=state.step + 1), metrics


def _lazily(
    gan: StyleGAN2, update: Callable, every: int, names: Sequence[str], state: TrainState, batch: Batch, key: Key
) -> tuple[TrainState, Metrics]:
    """Take an update in every n-th step; `names` are those of its metrics."""
    none = dict.fromkeys(names, no_metric())
    due = state.step % every == 0
    return jax.lax.cond(due, lambda state: update(gan, state, batch, key), lambda state: (state, none), state)


def _update_generator(gan: StyleGAN2, state: TrainState, batch: Batch, key: Key) -> tuple[TrainState, Metrics]:
    """Update the generator by its adversarial loss, and the average style by the styles it was given."""
    styles_key, noise_key, augment_key = jax.random.split(key, 3)
    index, labels = batch["index"], labels_of(gan, batch)

    def loss_of(params: Params) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        styles = draw_styles(gan, params, styles_key, index, labels)
        images = apply_synthesis(gan, params, styles, noise_images(gan, noise_key, index))
        images = augment(gan.augmentation, state, images, example_keys(augment_key, index))
        logits = apply_discriminator(gan, state.params["discriminator"], images, labels)
        values = LOSS.generator(logits, logits)
        return jnp.mean(values), (values, styles)

    grads, (values, styles) = jax.grad(loss_of, has_aux=True)(state.params["generator"])
    average = state.model_state["average_style"]["mean"]
    average += (1.0 - gan.w_avg_decay) * (mean_over_devices(jnp.mean(styles[:, 0], 0)) - average)
    state = with_model_state(state, "average_style", {"mean": average})
    return update(state, "generator", grads, gan.generator_optimizer), {"generator/loss": sum_and_count(values)}


def _update_path_length(gan: StyleGAN2, state: TrainState, batch: Batch, key: Key) -> tuple[TrainState, Metrics]:
    """Update the generator by path_weight (|J^T y| - a)^2, `path_every` times as strong."""
    styles_key, noise_key, direction_key = jax.random.split(key, 3)
    height, width, _ = gan.image_shape
    # Examples of a smaller batch, numbered anew, so that the devices' parts of it are again one batch.
    index, labels = batch["index"][:: gan.path_share] // gan.path_share, labels_of(gan, batch, gan.path_share)
    directions = example_normal(direction_key, index, gan.image_shape) / (height * width) ** 0.5

    def loss_of(params: Params) -> tuple[jax.Array, tuple[jax.Array, jax.Array, jax.Array]]:
        noise = noise_images(gan, noise_key, index)
        styles = draw_styles(gan, params, styles_key, index, labels)
        lengths = path_lengths(lambda styles: apply_synthesis(gan, params, styles, noise), styles, directions)
        mean = update_mean_path_length(state.model_state["path_length"]["mean"], lengths)
        values = jnp.square(lengths - mean)
        return gan.path_every * gan.path_weight * jnp.mean(values), (values, lengths, mean)

    grads, (values, lengths, mean) = jax.grad(loss_of, has_aux=True)(state.params["generator"])
    state = with_model_state(state, "path_length", {"mean": mean})
    return update(state, "generator", grads, gan.generator_optimizer), {
        "generator/path_penalty": sum_and_count(jnp.repeat(values, gan.path_share)),
        "generator/path_length": sum_and_count(jnp.repeat(lengths, gan.path_share)),
    }


def _update_discriminator(gan: StyleGAN2, state: TrainState, batch: Batch, key: Key) -> tuple[TrainState, Metrics]:
    """Update the discriminator by its adversarial loss, and the probability of an adaptive augmentation."""
    styles_key, noise_key, real_key, fake_key = jax.random.split(key, 4)
    index, labels, params = batch["index"], labels_of(gan, batch), state.params["generator"]
    styles = draw_styles(gan, params, styles_key, index, labels)
    fake = apply_synthesis(gan, params, styles, noise_images(gan, noise_key, index))
    real = augment(gan.augmentation, state, batch["image"], example_keys(real_key, index))
    fake = augment(gan.augmentation, state, fake, example_keys(fake_key, index))

    def loss_of(params: Params) -> tuple[jax.Array, tuple[jax.Array, jax.Array, jax.Array]]:
        real_logits, fake_logits = (apply_discriminator(gan, params, images, labels) for images in (real, fake))
        values = LOSS.discriminator(real_logits, fake_logits)
        return jnp.mean(values), (values, real_logits, fake_logits)

    grads, (values, *logits) = jax.grad(loss_of, has_aux=True)(state.params["discriminator"])
    state = update_ada_probability(gan.augmentation, state, logits[0])
    state = update(state, "discriminator", grads, gan.discriminator_optimizer)
    return state, discriminator_metrics(values, *logits)


def _update_r1(gan: StyleGAN2, state: TrainState, batch: Batch, key: Key) -> tuple[TrainState, Metrics]:
    """Update the discriminator by R1, `r1_every` times as strong."""
    index, labels = batch["index"], labels_of(gan, batch)

    def loss_of(params: Params) -> tuple[jax.Array, jax.Array]:
        def logits(images: jax.Array) -> jax.Array:
            images = augment(gan.augmentation, state, images, example_keys(key, index))
            return apply_discriminator(gan, params, images, labels)

        values = zero_centered_penalty(logits, batch["image"])
        return gan.r1_every * gan.r1_weight * jnp.mean(values), values

    grads, values = jax.grad(loss_of, has_aux=True)(state.params["discriminator"])
    state = update(state, "discriminator", grads, gan.discriminator_optimizer)
    return state, {"discriminator/r1": sum_and_count(values)}
