"""The training steps of a GAN: both networks at once, or n discriminator steps for each generator step."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxgen.core.state import TrainState, sum_and_count, update, update_average
from jaxgen.core.types import Batch, Key, Metrics, ModelState, Params, present
from jaxgen.models.gan.forward import Outputs, apply_discriminator, apply_generator
from jaxgen.models.gan.parts import (
    augment,
    augmentation_metrics,
    discriminator_metrics,
    no_metric,
    update_ada_probability,
    with_model_state,
)
from jaxgen.models.gan.penalties import PenaltyInputs, total_penalty
from jaxgen.models.gan.spec import GAN
from jaxgen.models.gan.step_inputs import StepInputs, sample_step_inputs


def train_step(gan: GAN, state: TrainState, batch: Batch, key: Key) -> tuple[TrainState, Metrics]:
    """Update the discriminator, and the generator at once or in every `discriminator_steps`-th step."""
    penalty_key, augment_key = None, None
    if gan.penalties:
        key, penalty_key = jax.random.split(key)
    if gan.augmentation is not None:
        key, augment_key = jax.random.split(key)
    discriminator_key, generator_key = jax.random.split(key)
    if gan.discriminator_steps is None:
        inputs = sample_step_inputs(gan, discriminator_key, batch, penalty_key=penalty_key, augment_key=augment_key)
        state, metrics = _step_together(gan, state, batch["image"], inputs)
    else:
        keys = [None, None] if augment_key is None else jax.random.split(augment_key)
        inputs = sample_step_inputs(gan, discriminator_key, batch, penalty_key=penalty_key, augment_key=keys[0])
        state, metrics = _step_discriminator(gan, state, batch["image"], inputs)
        inputs = sample_step_inputs(gan, generator_key, batch, augment_key=keys[1])
        state, generator_metrics = jax.lax.cond(
            (state.step + 1) % gan.discriminator_steps == 0,
            lambda state: _step_generator(gan, state, batch["image"], inputs),
            lambda state: (state, {"generator/loss": no_metric()}),
            state,
        )
        metrics |= generator_metrics
    metrics |= augmentation_metrics(state, len(batch["image"]))
    return state.replace(step=state.step + 1), metrics


# ---------------------------------------------------------------- losses


def discriminator_losses(gan: GAN, real: Outputs, fake: Outputs, inputs: StepInputs) -> jax.Array:
    """Return the discriminator's losses [B], with those of its head, of its outputs for both kinds of images."""
    values = gan.losses.discriminator(real.logits, fake.logits)
    if gan.head is None:
        return values
    return values + gan.head.discriminator(
        present(real.head), present(fake.head), present(inputs.labels), inputs.latents
    )


def generator_losses(gan: GAN, real: Outputs, fake: Outputs, inputs: StepInputs) -> jax.Array:
    """Return the generator's losses [B], with those of the head."""
    values = gan.losses.generator(real.logits, fake.logits)
    if gan.head is None:
        return values
    return values + gan.head.generator(present(fake.head), present(inputs.labels), inputs.latents)


def metrics_of_both(gan: GAN, real: Outputs, fake: Outputs, inputs: StepInputs) -> Metrics:
    """Return the discriminator's metrics, of its outputs for both kinds of images."""
    values = discriminator_losses(gan, real, fake, inputs)
    return discriminator_metrics(values, real.logits, fake.logits, gan.losses.boundary)


def _penalize(
    gan: GAN,
    state: TrainState,
    params: Params,
    real: jax.Array,
    real_logits: jax.Array,
    fake: jax.Array,
    inputs: StepInputs,
) -> tuple[jax.Array, Metrics]:
    """Return the weighted penalties [B] and their metrics."""
    if not gan.penalties:
        return jnp.zeros_like(real_logits), {}

    def logits(images: jax.Array) -> jax.Array:
        return apply_discriminator(gan, state, params, images, inputs.labels)[0].logits

    fake = jax.lax.stop_gradient(fake)
    penalty_inputs = PenaltyInputs(logits, real, real_logits, fake, present(inputs.penalty_key), inputs.index)
    return total_penalty(dict(gan.penalties), gan.penalty_every, state.step, penalty_inputs)


# ---------------------------------------------------------------- both networks at once


def _step_together(gan: GAN, state: TrainState, real: jax.Array, inputs: StepInputs) -> tuple[TrainState, Metrics]:
    """Update both networks from the same point: one forward pass through D(x) and D(G(z)), pulled back by parts."""
    old, params = state, state.params["discriminator"]
    fake, generator_vjp, generator_state = jax.vjp(
        functools.partial(apply_generator, gan, old, inputs=inputs), state.params["generator"], has_aux=True
    )
    real = augment(gan.augmentation, old, real, inputs.real_keys)
    shown, augmentation_vjp = jax.vjp(
        functools.partial(augment, gan.augmentation, old, keys=inputs.generated_keys), fake
    )
    (real_outputs, penalty), real_vjp, (model_state, metrics) = jax.vjp(
        functools.partial(_discriminate_real, gan, old, real=real, fake=shown, inputs=inputs), params, has_aux=True
    )
    state = with_model_state(state, "discriminator", model_state)
    fake_outputs, fake_vjp, model_state = jax.vjp(
        functools.partial(apply_discriminator, gan, state, labels=inputs.labels), params, shown, has_aux=True
    )
    real_cotangent, fake_grads, image_grads = _pull_back(gan, real_outputs, fake_outputs, inputs, fake_vjp)
    (real_grads,) = real_vjp((real_cotangent, jnp.full_like(penalty, 1.0 / penalty.size)))
    state = with_model_state(state, "discriminator", model_state)
    state = with_model_state(state, "generator", generator_state)
    grads = jax.tree.map(jnp.add, real_grads, fake_grads)
    state = update_ada_probability(gan.augmentation, state, real_outputs.logits, gan.losses.boundary)
    state = update(state, "discriminator", grads, gan.discriminator_optimizer)
    state = update(state, "generator", generator_vjp(*augmentation_vjp(image_grads))[0], gan.generator_optimizer)
    return _update_average(gan, state), {
        **metrics_of_both(gan, real_outputs, fake_outputs, inputs),
        **metrics,
        "generator/loss": sum_and_count(generator_losses(gan, real_outputs, fake_outputs, inputs)),
    }


def _discriminate_real(
    gan: GAN, state: TrainState, params: Params, real: jax.Array, fake: jax.Array, inputs: StepInputs
) -> tuple[tuple[Outputs, jax.Array], tuple[ModelState, Metrics]]:
    """Return (outputs, penalties [B]) of real images, and (the discriminator's model state, the penalties' metrics)."""
    outputs, model_state = apply_discriminator(gan, state, params, real, inputs.labels)
    penalty, metrics = _penalize(gan, state, params, real, outputs.logits, fake, inputs)
    return (outputs, penalty), (model_state, metrics)


def _pull_back(
    gan: GAN, real: Outputs, fake: Outputs, inputs: StepInputs, fake_vjp: Callable[[Outputs], tuple[Params, jax.Array]]
) -> tuple[Outputs, Params, jax.Array]:
    """Return the cotangent of D(x)'s outputs, the discriminator's gradient by D(G(z)), and the images' cotangent.

    The last is the cotangent of the generated images for the generator's loss; the others are of the discriminator's
    loss.

    Where examples are independent, d loss / d image is (d loss / d logit) (d logit / d image): the pull-back of one
    loss, scaled per example, is that of the other. Cotangents too small to divide by are replaced by one that no
    float32 sum can see.
    """
    cotangents = jax.grad(lambda real, fake: jnp.mean(discriminator_losses(gan, real, fake, inputs)), (0, 1))
    real_cotangent, fake_cotangent = cotangents(real, fake)
    generator_cotangent = jax.grad(lambda fake: jnp.mean(generator_losses(gan, real, fake, inputs)))(fake)
    if gan.independent_examples and gan.head is None:
        cotangent = jnp.where(jnp.abs(fake_cotangent.logits) < 1e-20, 1e-20, fake_cotangent.logits)
        fake_grads, image_grads = fake_vjp(Outputs(cotangent, None))
        ratio = generator_cotangent.logits / cotangent
        return real_cotangent, fake_grads, image_grads * jnp.reshape(ratio, (-1,) + (1,) * (image_grads.ndim - 1))
    fake_grads, _ = fake_vjp(fake_cotangent)
    _, image_grads = fake_vjp(generator_cotangent)
    return real_cotangent, fake_grads, image_grads


# ---------------------------------------------------------------- one network after the other


def _step_discriminator(gan: GAN, state: TrainState, real: jax.Array, inputs: StepInputs) -> tuple[TrainState, Metrics]:
    """Update the discriminator."""
    fake, _ = apply_generator(gan, state, state.params["generator"], inputs)
    real = augment(gan.augmentation, state, real, inputs.real_keys)
    fake = augment(gan.augmentation, state, fake, inputs.generated_keys)

    def loss_of(params: Params) -> tuple[jax.Array, tuple[Outputs, ModelState, Metrics]]:
        (real_outputs, penalty), (model_state, metrics) = _discriminate_real(gan, state, params, real, fake, inputs)
        after_real = with_model_state(state, "discriminator", model_state)
        fake_outputs, model_state = apply_discriminator(gan, after_real, params, fake, inputs.labels)
        metrics |= metrics_of_both(gan, real_outputs, fake_outputs, inputs)
        loss = jnp.mean(discriminator_losses(gan, real_outputs, fake_outputs, inputs) + penalty)
        return loss, (real_outputs, model_state, metrics)

    grads, (outputs, model_state, metrics) = jax.grad(loss_of, has_aux=True)(state.params["discriminator"])
    state = with_model_state(state, "discriminator", model_state)
    state = update_ada_probability(gan.augmentation, state, outputs.logits, gan.losses.boundary)
    return update(state, "discriminator", grads, gan.discriminator_optimizer), metrics


def _step_generator(gan: GAN, state: TrainState, real: jax.Array, inputs: StepInputs) -> tuple[TrainState, Metrics]:
    """Update the generator, and leave the discriminator as it is."""
    discriminator_params = state.params["discriminator"]
    real = augment(gan.augmentation, state, real, inputs.real_keys)
    real_outputs, _ = apply_discriminator(gan, state, discriminator_params, real, inputs.labels)

    def loss_of(params: Params) -> tuple[jax.Array, tuple[jax.Array, ModelState]]:
        fake, model_state = apply_generator(gan, state, params, inputs)
        fake = augment(gan.augmentation, state, fake, inputs.generated_keys)
        fake_outputs, _ = apply_discriminator(gan, state, discriminator_params, fake, inputs.labels)
        values = generator_losses(gan, real_outputs, fake_outputs, inputs)
        return jnp.mean(values), (values, model_state)

    grads, (values, model_state) = jax.grad(loss_of, has_aux=True)(state.params["generator"])
    state = update(with_model_state(state, "generator", model_state), "generator", grads, gan.generator_optimizer)
    return _update_average(gan, state), {"generator/loss": sum_and_count(values)}


def _update_average(gan: GAN, state: TrainState) -> TrainState:
    return state if gan.ema_decay is None else update_average(state, "generator", gan.ema_decay)
