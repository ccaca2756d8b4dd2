"""Generative adversarial networks (Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661)."""

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxgen.core.errors import UserError
from jaxgen.core.model import GenerativeModel
from jaxgen.core.state import (
    Batch,
    Key,
    Metrics,
    TrainState,
    averaged_params,
    create_state,
    sum_and_count,
    update,
    update_average,
)
from jaxgen.models.augmentation import Augmentation
from jaxgen.models.conditional_samples import samples_by_class
from jaxgen.models.gan.heads import Head
from jaxgen.models.gan.losses import LOSSES, GANLoss
from jaxgen.models.gan.parts import (
    adapted,
    augmentation_metrics,
    augmented,
    discriminator_metrics,
    initial_probability,
    keep,
)
from jaxgen.models.gan.penalties import Judged, total_penalty
from jaxgen.models.gan.step_inputs import Draws, draw_for_update, draw_latents
from jaxgen.models.variables import apply_network, init_network


class Outputs(NamedTuple):
    """What a discriminator gives for some images."""

    logits: jax.Array
    """[B]."""
    head: jax.Array | None
    """[B, N], or None without a head."""


def gan(
    generator: nn.Module,
    discriminator: nn.Module,
    *,
    latent_size: int,
    loss: str | GANLoss = "non_saturating",
    generator_optimizer: optax.GradientTransformation,
    discriminator_optimizer: optax.GradientTransformation,
    discriminator_steps: int | None = None,
    ema_decay: float | None = 0.999,
    independent_examples: bool = False,
    num_classes: int | None = None,
    head: Head | None = None,
    penalties: Mapping[str, float] | None = None,
    penalty_every: int = 1,
    augmentation: Augmentation | None = None,
) -> GenerativeModel:
    """A GAN on batches with `image` [B, H, W, C] in [-1, 1], and `label` [B] if it is conditional.

    Args:
      generator: `generator(latents [B, latent_size], train=...) -> images`.
      discriminator: `discriminator(images, train=...) -> logits [B]`, or with a `head` (logits [B], outputs [B, N]).
      loss: a name in `LOSSES`, or a `GANLoss`.
      discriminator_steps: None: both networks step at once from the same point, sharing one forward pass of D(G(z)).
        n: each train step updates the discriminator, on a batch of its own; every n-th then also the generator,
        against the updated discriminator.
      ema_decay: of the moving average of the generator that samples are drawn with; None: no average.
      independent_examples: says that each logit depends on its own image alone (a discriminator without batch
        statistics). The simultaneous step then goes back through D(G(z)) once for both networks; same gradients.
      num_classes: None: no condition. K: both networks get labels in 0..K-1 as their second argument (see
        `jaxgen.networks.layers.conditional`), generated images those of the real ones in the batch.
      head: the generator alone gets the labels, and the discriminator's second output is trained to read them
        (`gan_heads`: ACGAN, InfoGAN).
      penalties: weights by name in `gan_penalties.PENALTIES`, of what is added to the discriminator's loss.
      penalty_every: penalties are taken in every n-th step only, n times as strong.
      augmentation: of all that the discriminator sees while it is trained.

    `sample` takes labels [num_samples] as `condition`; without, those of `conditions`.

    `functions`: `prior(key, num_samples) -> latents`, `decode(state, latents, *condition) -> images`,
    `discriminate(state, images, *condition) -> logits`; of a conditional GAN also `conditions(num_samples) -> labels`,
    every class in turn; with a head `read_head(state, images) -> outputs`, and with InfoGAN's `code_dimensions()`, the
    numbers of the latents that are continuous codes. `condition` is the labels, or nothing.

    Raises:
      KeyError: an unknown loss or penalty.
      UserError: adaptive augmentation, which goes by the signs of logits, with a loss of their differences only.
    """
    losses = LOSSES[loss] if isinstance(loss, str) else loss
    if losses.differences_only and augmentation is not None and augmentation.target is not None:
        raise UserError(
            "Adaptive augmentation goes by the signs of real logits, which mean nothing with the wasserstein and "
            "relativistic_average losses: choose another loss, or augmentations that stay as they are."
        )
    optimizers = {"generator": generator_optimizer, "discriminator": discriminator_optimizer}
    averaged = () if ema_decay is None else ("generator",)
    augment = functools.partial(augmented, augmentation)
    draw = functools.partial(draw_for_update, latent_size=latent_size, num_classes=num_classes, head=head)

    # ------------------------------------------------------------ networks

    def init(key: Key, batch: Batch) -> TrainState:
        run_key, generator_key, discriminator_key = jax.random.split(key, 3)
        images = batch["image"]
        latents = jnp.zeros((images.shape[0], latent_size), images.dtype)
        labels = None if num_classes is None else jnp.zeros(images.shape[:1], jnp.int32)
        params, model_state = {}, initial_probability(augmentation)
        for name, network, network_key, inputs in (
            ("generator", generator, generator_key, told_generator(latents, labels)),
            ("discriminator", discriminator, discriminator_key, told_discriminator(images, labels)),
        ):
            params[name], model_state[name] = init_network(network, network_key, *inputs)
        return create_state(run_key, params, optimizers, model_state=model_state, averaged=averaged)

    def told_generator(latents: jax.Array, labels: jax.Array | None) -> tuple[jax.Array, ...]:
        return (latents,) if labels is None else (latents, labels)

    def told_discriminator(images: jax.Array, labels: jax.Array | None) -> tuple[jax.Array, ...]:
        return (images,) if labels is None or head is not None else (images, labels)

    def generate(state: TrainState, params: Any, draws: Draws) -> tuple[jax.Array, Any]:
        inputs = told_generator(draws.latents, draws.labels)
        return apply_network(generator, params, state.model_state["generator"], *inputs, train=True)

    def judge(state: TrainState, params: Any, images: jax.Array, labels: jax.Array | None) -> tuple[Outputs, Any]:
        inputs, model_state = told_discriminator(images, labels), state.model_state["discriminator"]
        outputs, model_state = apply_network(discriminator, params, model_state, *inputs, train=True)
        return Outputs(outputs, None) if head is None else Outputs(*outputs), model_state

    # ------------------------------------------------------------ losses, [B]

    def discriminator_loss(real: Outputs, fake: Outputs, draws: Draws) -> jax.Array:
        values = losses.discriminator(real.logits, fake.logits)
        return (
            values if head is None else values + head.discriminator(real.head, fake.head, draws.labels, draws.latents)
        )

    def generator_loss(real: Outputs, fake: Outputs, draws: Draws) -> jax.Array:
        values = losses.generator(real.logits, fake.logits)
        return values if head is None else values + head.generator(fake.head, draws.labels, draws.latents)

    def penalize(
        state: TrainState, params: Any, real: jax.Array, real_logits: jax.Array, fake: jax.Array, draws: Draws
    ) -> tuple[jax.Array, Metrics]:
        if not penalties:
            return jnp.zeros_like(real_logits), {}

        def logits(images: jax.Array) -> jax.Array:
            return judge(state, params, images, draws.labels)[0].logits

        judged = Judged(logits, real, real_logits, jax.lax.stop_gradient(fake), draws.penalty_key, draws.index)
        return total_penalty(penalties, penalty_every, state.step, judged)

    # ------------------------------------------------------------ steps

    def step_together(state: TrainState, real: jax.Array, draws: Draws) -> tuple[TrainState, Metrics]:
        old = state
        fake, pull_generator, generator_state = jax.vjp(
            lambda params: generate(old, params, draws), state.params["generator"], has_aux=True
        )
        real = augment(old, real, draws.real_keys)
        shown, pull_augmentation = jax.vjp(lambda images: augment(old, images, draws.generated_keys), fake)

        def of_real(params: Any) -> tuple[tuple[Outputs, jax.Array], tuple[Any, Metrics]]:
            outputs, model_state = judge(old, params, real, draws.labels)
            penalty, metrics = penalize(old, params, real, outputs.logits, shown, draws)
            return (outputs, penalty), (model_state, metrics)

        (real_outputs, penalty), pull_real, (model_state, metrics) = jax.vjp(
            of_real, state.params["discriminator"], has_aux=True
        )
        state = keep(state, "discriminator", model_state)

        fake_outputs, pull_fake, model_state = jax.vjp(
            lambda params, images: judge(state, params, images, draws.labels),
            state.params["discriminator"],
            shown,
            has_aux=True,
        )
        slopes = jax.grad(lambda *outputs: jnp.mean(discriminator_loss(*outputs, draws)), (0, 1))
        real_slope, fake_slope = slopes(real_outputs, fake_outputs)
        generator_slope = jax.grad(lambda fake: jnp.mean(generator_loss(real_outputs, fake, draws)))(fake_outputs)
        if independent_examples and head is None:
            # d loss / d image is (d loss / d logit) (d logit / d image): the pull-back of one loss, scaled per example,
            # is that of the other. Slopes too small to divide by are replaced by one that no float32 sum can see.
            slope = jnp.where(jnp.abs(fake_slope.logits) < 1e-20, 1e-20, fake_slope.logits)
            fake_grads, image_grads = pull_fake(Outputs(slope, None))
            image_grads *= jnp.reshape(generator_slope.logits / slope, (-1,) + (1,) * (fake.ndim - 1))
        else:
            fake_grads, _ = pull_fake(fake_slope)
            _, image_grads = pull_fake(generator_slope)
        (real_grads,) = pull_real((real_slope, jnp.full_like(penalty, 1.0 / penalty.size)))
        state = keep(keep(state, "discriminator", model_state), "generator", generator_state)
        grads = jax.tree.map(jnp.add, real_grads, fake_grads)
        state = update(
            adapted(augmentation, state, real_outputs.logits, losses.boundary),
            "discriminator",
            grads,
            discriminator_optimizer,
        )
        generator_grads = pull_generator(*pull_augmentation(image_grads))[0]
        state = update(state, "generator", generator_grads, generator_optimizer)
        return average(state), {
            **metrics_of_both(real_outputs, fake_outputs, draws),
            **metrics,
            "generator/loss": sum_and_count(generator_loss(real_outputs, fake_outputs, draws)),
        }

    def step_discriminator(state: TrainState, real: jax.Array, draws: Draws) -> tuple[TrainState, Metrics]:
        fake, _ = generate(state, state.params["generator"], draws)
        real, fake = augment(state, real, draws.real_keys), augment(state, fake, draws.generated_keys)

        def loss_of(params: Any) -> tuple[jax.Array, tuple[Outputs, Any, Metrics]]:
            real_outputs, model_state = judge(state, params, real, draws.labels)
            penalty, metrics = penalize(state, params, real, real_outputs.logits, fake, draws)
            fake_outputs, model_state = judge(keep(state, "discriminator", model_state), params, fake, draws.labels)
            metrics |= metrics_of_both(real_outputs, fake_outputs, draws)
            loss = jnp.mean(discriminator_loss(real_outputs, fake_outputs, draws) + penalty)
            return loss, (real_outputs, model_state, metrics)

        grads, (outputs, model_state, metrics) = jax.grad(loss_of, has_aux=True)(state.params["discriminator"])
        state = keep(state, "discriminator", model_state)
        state = adapted(augmentation, state, outputs.logits, losses.boundary)
        return update(state, "discriminator", grads, discriminator_optimizer), metrics

    def step_generator(state: TrainState, real: jax.Array, draws: Draws) -> tuple[TrainState, Metrics]:
        params = state.params["discriminator"]
        real_outputs, _ = judge(state, params, augment(state, real, draws.real_keys), draws.labels)

        def loss_of(params: Any) -> tuple[jax.Array, tuple[jax.Array, Any]]:
            fake, model_state = generate(state, params, draws)
            fake = augment(state, fake, draws.generated_keys)
            fake_outputs, _ = judge(state, state.params["discriminator"], fake, draws.labels)
            values = generator_loss(real_outputs, fake_outputs, draws)
            return jnp.mean(values), (values, model_state)

        grads, (values, model_state) = jax.grad(loss_of, has_aux=True)(state.params["generator"])
        state = update(keep(state, "generator", model_state), "generator", grads, generator_optimizer)
        return average(state), {"generator/loss": sum_and_count(values)}

    def average(state: TrainState) -> TrainState:
        return state if ema_decay is None else update_average(state, "generator", ema_decay)

    def train_step(state: TrainState, batch: Batch, key: Key) -> tuple[TrainState, Metrics]:
        real, penalty_key, augment_key = batch["image"], None, None
        if penalties:
            key, penalty_key = jax.random.split(key)
        if augmentation is not None:
            key, augment_key = jax.random.split(key)
        discriminator_key, generator_key = jax.random.split(key)
        if discriminator_steps is None:
            draws = draw(discriminator_key, batch, penalty_key=penalty_key, augment_key=augment_key)
            state, metrics = step_together(state, real, draws)
        else:
            keys = [None, None] if augment_key is None else jax.random.split(augment_key)
            draws = draw(discriminator_key, batch, penalty_key=penalty_key, augment_key=keys[0])
            state, metrics = step_discriminator(state, real, draws)
            draws = draw(generator_key, batch, augment_key=keys[1])
            none = {"generator/loss": (jnp.zeros((), jnp.float32), jnp.zeros((), jnp.float32))}  # as `sum_and_count`
            state, generator_metrics = jax.lax.cond(
                (state.step + 1) % discriminator_steps == 0,
                lambda state: step_generator(state, real, draws),
                lambda state: (state, none),
                state,
            )
            metrics |= generator_metrics
        metrics |= augmentation_metrics(state, len(real))
        return state.replace(step=state.step + 1), metrics

    def metrics_of_both(real: Outputs, fake: Outputs, draws: Draws) -> Metrics:
        return discriminator_metrics(discriminator_loss(real, fake, draws), real.logits, fake.logits, losses.boundary)

    # ------------------------------------------------------------ use

    def eval_step(state: TrainState, batch: Batch, key: Key) -> Metrics:
        draws = draw(key, batch)
        fake = decode(state, *told_generator(draws.latents, draws.labels))
        real_outputs, fake_outputs = (judge_trained(state, images, draws.labels) for images in (batch["image"], fake))
        return metrics_of_both(real_outputs, fake_outputs, draws)

    def judge_trained(state: TrainState, images: jax.Array, labels: jax.Array | None) -> Outputs:
        params, model_state = state.params["discriminator"], state.model_state["discriminator"]
        inputs = told_discriminator(images, labels)
        outputs = apply_network(discriminator, params, model_state, *inputs, train=False)[0]
        return Outputs(outputs, None) if head is None else Outputs(*outputs)

    def prior(key: Key, num_samples: int) -> jax.Array:
        return draw_latents(key, jnp.arange(num_samples, dtype=jnp.uint32), latent_size, head)

    def decode(state: TrainState, latents: jax.Array, *condition: jax.Array) -> jax.Array:
        params = averaged_params(state, "generator")
        return apply_network(generator, params, state.model_state["generator"], latents, *condition, train=False)[0]

    def discriminate(state: TrainState, images: jax.Array, *condition: jax.Array) -> jax.Array:
        return judge_trained(state, images, *(condition or (None,))).logits

    def read_head(state: TrainState, images: jax.Array) -> jax.Array:
        return judge_trained(state, images, None).head

    sample, functions = samples_by_class(
        lambda state, key, num_samples, *labels: decode(state, prior(key, num_samples), *labels), num_classes
    )
    functions |= {"prior": prior, "decode": decode, "discriminate": discriminate}
    if head is not None:
        functions["read_head"] = read_head
        if head.uniform_latents:
            functions["code_dimensions"] = lambda: tuple(range(latent_size - head.uniform_latents, latent_size))
    return GenerativeModel(init, train_step, eval_step, sample, table=functions)
