"""Generative adversarial networks (Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661)."""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxgen.models.variables import apply_network, init_network
from jaxgen.training.parallel import example_normal
from jaxgen.training.state import (
    Batch,
    GenerativeModel,
    Key,
    Metrics,
    TrainState,
    averaged_params,
    create_state,
    sum_and_count,
    update,
    update_average,
)


class GANLoss(NamedTuple):
    """Two losses per example, of the logits D(x) of real and D(G(z)) of generated examples, [B] each -> [B]."""

    discriminator: Callable[[jax.Array, jax.Array], jax.Array]
    generator: Callable[[jax.Array, jax.Array], jax.Array]


def _classify_real_and_generated(real: jax.Array, generated: jax.Array) -> jax.Array:
    """-log s(D(x)) - log(1 - s(D(G(z)))) with the sigmoid s: Goodfellow et al. 2014, eq. 1."""
    return jax.nn.softplus(-real) + jax.nn.softplus(generated)


LOSSES: dict[str, GANLoss] = {
    # G minimises log(1 - s(D(G(z)))), eq. 1.
    "minimax": GANLoss(_classify_real_and_generated, lambda real, generated: -jax.nn.softplus(generated)),
    # G minimises -log s(D(G(z))), section 3: the same fixed point, but strong gradients where D wins.
    "non_saturating": GANLoss(_classify_real_and_generated, lambda real, generated: jax.nn.softplus(-generated)),
}


PENALTY_NOISE = 0.01


def gradient_penalty(real: jax.Array, noisy: jax.Array, gamma: float) -> jax.Array:
    """gamma / 2 |grad_x D(x)|^2 (R1: Mescheder et al. 2018, arXiv:1801.04406, eq. 9), without second derivatives.

    Estimated as gamma / 2 (D(x) - D(x + s n))^2 / s^2 with normal n and s = `PENALTY_NOISE` (Lin et al. 2025,
    arXiv:2501.08316), whose mean over n is that for small s.

    Args:
      real: logits D(x) [B].
      noisy: logits D(x + s n) [B].

    Returns:
      [B].
    """
    return gamma / 2 * jnp.square((real - noisy) / PENALTY_NOISE)


def gan(
    generator: nn.Module,
    discriminator: nn.Module,
    *,
    latent_size: int,
    loss: str | GANLoss = "non_saturating",
    generator_optimiser: optax.GradientTransformation,
    discriminator_optimiser: optax.GradientTransformation,
    discriminator_steps: int | None = None,
    ema_decay: float | None = 0.999,
    independent_examples: bool = False,
    num_classes: int | None = None,
    real_penalty: float = 0.0,
) -> GenerativeModel:
    """A GAN on batches with `image` [B, H, W, C] in [-1, 1], and `label` [B] if it is conditional.

    Args:
      generator: `generator(latents [B, latent_size], train=...) -> images`.
      discriminator: `discriminator(images, train=...) -> logits [B]`.
      loss: a name in `LOSSES`, or a `GANLoss`.
      discriminator_steps: None: both networks step at once from the same point, sharing one forward pass of D(G(z)).
        n: each train step updates the discriminator, on a batch of its own; every n-th then also the generator,
        against the updated discriminator.
      ema_decay: of the moving average of the generator that samples are drawn with; None: no average.
      independent_examples: says that each logit depends on its own image alone (a discriminator without batch
        statistics). The simultaneous step then goes back through D(G(z)) once for both networks; same gradients.
      num_classes: None: no condition. K: both networks get labels in 0..K-1 as their second argument (see
        `jaxgen.networks.conditional`), generated images those of the real ones in the batch.
      real_penalty: gamma of the penalty `gradient_penalty` on real images, which keeps the discriminator from running
        away from the generator; 0: none.

    `sample` takes labels [num_samples] as `condition`; without, those of `conditions`.

    `functions`: `prior(key, num_samples) -> latents`, `decode(state, latents, *condition) -> images`,
    `discriminate(state, images, *condition) -> logits`; of a conditional GAN also `conditions(num_samples) -> labels`,
    every class in turn. `condition` is the labels, or nothing.
    """
    losses = LOSSES[loss] if isinstance(loss, str) else loss
    optimisers = {"generator": generator_optimiser, "discriminator": discriminator_optimiser}
    averaged = () if ema_decay is None else ("generator",)

    def condition_of(batch: Batch) -> tuple[jax.Array, ...]:
        return () if num_classes is None else (batch["label"],)

    def init(key: Key, batch: Batch) -> TrainState:
        run_key, generator_key, discriminator_key = jax.random.split(key, 3)
        images = batch["image"]
        latents = jnp.zeros((images.shape[0], latent_size), images.dtype)
        params, model_state = {}, {}
        params["generator"], model_state["generator"] = init_network(
            generator, generator_key, latents, *condition_of(batch)
        )
        params["discriminator"], model_state["discriminator"] = init_network(
            discriminator, discriminator_key, images, *condition_of(batch)
        )
        return create_state(run_key, params, optimisers, model_state=model_state, averaged=averaged)

    def generate(state: TrainState, params: Any, *inputs: jax.Array) -> tuple[jax.Array, Any]:
        return apply_network(generator, params, state.model_state["generator"], *inputs, train=True)

    def judge(state: TrainState, params: Any, *inputs: jax.Array) -> tuple[jax.Array, Any]:
        return apply_network(discriminator, params, state.model_state["discriminator"], *inputs, train=True)

    def keep(state: TrainState, name: str, model_state: Any) -> TrainState:
        return state.replace(model_state={**state.model_state, name: model_state})

    def mean_loss(kind: Callable) -> Callable:
        return lambda real, generated: jnp.mean(kind(real, generated))

    def step_together(
        state: TrainState, real: jax.Array, noisy: jax.Array | None, latents: jax.Array, *condition: jax.Array
    ) -> tuple[TrainState, Metrics]:
        fake, pull_generator, generator_state = jax.vjp(
            lambda params: generate(state, params, latents, *condition), state.params["generator"], has_aux=True
        )
        real_logits, pull_real, discriminator_state = jax.vjp(
            lambda params: judge(state, params, real, *condition), state.params["discriminator"], has_aux=True
        )
        state = keep(state, "discriminator", discriminator_state)
        fake_logits, pull_fake, discriminator_state = jax.vjp(
            lambda params, images: judge(state, params, images, *condition),
            state.params["discriminator"],
            fake,
            has_aux=True,
        )
        state = keep(keep(state, "discriminator", discriminator_state), "generator", generator_state)
        real_slope, fake_slope = jax.grad(mean_loss(losses.discriminator), (0, 1))(real_logits, fake_logits)
        generator_slope = jax.grad(mean_loss(losses.generator), 1)(real_logits, fake_logits)
        penalty_grads, metrics = [], {}
        if noisy is not None:
            noisy_logits, pull_noisy, _ = jax.vjp(
                lambda params: judge(state, params, noisy, *condition), state.params["discriminator"], has_aux=True
            )
            metrics = penalty_metrics(real_logits, noisy_logits)
            slopes = jax.grad(mean_penalty, (0, 1))(real_logits, noisy_logits)
            real_slope += slopes[0]
            penalty_grads = [pull_noisy(slopes[1])[0]]
        if independent_examples:
            # d loss / d image is (d loss / d logit) (d logit / d image): the pull-back of one loss, scaled per example,
            # is that of the other. Slopes too small to divide by are replaced by one that no float32 sum can see.
            slope = jnp.where(jnp.abs(fake_slope) < 1e-20, 1e-20, fake_slope)
            fake_grads, image_grads = pull_fake(slope)
            image_grads *= jnp.reshape(generator_slope / slope, (-1,) + (1,) * (fake.ndim - 1))
        else:
            fake_grads, _ = pull_fake(fake_slope)
            _, image_grads = pull_fake(generator_slope)
        discriminator_grads = jax.tree.map(lambda *g: sum(g), pull_real(real_slope)[0], fake_grads, *penalty_grads)
        state = update(state, "discriminator", discriminator_grads, discriminator_optimiser)
        state = update(state, "generator", pull_generator(image_grads)[0], generator_optimiser)
        return average(state), {
            **discriminator_metrics(real_logits, fake_logits),
            **metrics,
            "generator/loss": sum_and_count(losses.generator(real_logits, fake_logits)),
        }

    def step_discriminator(
        state: TrainState, real: jax.Array, noisy: jax.Array | None, latents: jax.Array, *condition: jax.Array
    ) -> tuple[TrainState, Metrics]:
        fake, _ = generate(state, state.params["generator"], latents, *condition)

        def loss_of(params: Any) -> tuple[jax.Array, Any]:
            real_logits, model_state = judge(state, params, real, *condition)
            fake_logits, model_state = judge(keep(state, "discriminator", model_state), params, fake, *condition)
            loss, metrics = mean_loss(losses.discriminator)(real_logits, fake_logits), {}
            if noisy is not None:
                noisy_logits, _ = judge(state, params, noisy, *condition)
                loss += mean_penalty(real_logits, noisy_logits)
                metrics = penalty_metrics(real_logits, noisy_logits)
            return loss, ({**discriminator_metrics(real_logits, fake_logits), **metrics}, model_state)

        grads, (metrics, model_state) = jax.grad(loss_of, has_aux=True)(state.params["discriminator"])
        state = update(keep(state, "discriminator", model_state), "discriminator", grads, discriminator_optimiser)
        return state, metrics

    def step_generator(
        state: TrainState, real: jax.Array, latents: jax.Array, *condition: jax.Array
    ) -> tuple[TrainState, Metrics]:
        real_logits, _ = judge(state, state.params["discriminator"], real, *condition)

        def loss_of(params: Any) -> tuple[jax.Array, Any]:
            fake, model_state = generate(state, params, latents, *condition)
            fake_logits, _ = judge(state, state.params["discriminator"], fake, *condition)
            values = losses.generator(real_logits, fake_logits)
            return jnp.mean(values), (values, model_state)

        grads, (values, model_state) = jax.grad(loss_of, has_aux=True)(state.params["generator"])
        state = update(keep(state, "generator", model_state), "generator", grads, generator_optimiser)
        return average(state), {"generator/loss": sum_and_count(values)}

    def average(state: TrainState) -> TrainState:
        return state if ema_decay is None else update_average(state, "generator", ema_decay)

    def train_step(state: TrainState, batch: Batch, key: Key) -> tuple[TrainState, Metrics]:
        real, condition, noisy = batch["image"], condition_of(batch), None
        if real_penalty:
            key, penalty_key = jax.random.split(key)
            noisy = real + PENALTY_NOISE * example_normal(penalty_key, batch["index"], real.shape[1:])
        discriminator_key, generator_key = jax.random.split(key)
        latents = example_normal(discriminator_key, batch["index"], (latent_size,))
        if discriminator_steps is None:
            state, metrics = step_together(state, real, noisy, latents, *condition)
        else:
            state, metrics = step_discriminator(state, real, noisy, latents, *condition)
            latents = example_normal(generator_key, batch["index"], (latent_size,))
            none = {"generator/loss": (jnp.zeros((), jnp.float32), jnp.zeros((), jnp.float32))}  # as `sum_and_count`
            state, generator_metrics = jax.lax.cond(
                (state.step + 1) % discriminator_steps == 0,
                lambda state: step_generator(state, real, latents, *condition),
                lambda state: (state, none),
                state,
            )
            metrics |= generator_metrics
        return state.replace(step=state.step + 1), metrics

    def discriminator_metrics(real_logits: jax.Array, fake_logits: jax.Array) -> Metrics:
        return {
            "discriminator/loss": sum_and_count(losses.discriminator(real_logits, fake_logits)),
            "discriminator/accuracy_real": sum_and_count((real_logits > 0).astype(jnp.float32)),
            "discriminator/accuracy_generated": sum_and_count((fake_logits < 0).astype(jnp.float32)),
        }

    def mean_penalty(real_logits: jax.Array, noisy_logits: jax.Array) -> jax.Array:
        return jnp.mean(gradient_penalty(real_logits, noisy_logits, real_penalty))

    def penalty_metrics(real_logits: jax.Array, noisy_logits: jax.Array) -> Metrics:
        return {"discriminator/penalty": sum_and_count(gradient_penalty(real_logits, noisy_logits, real_penalty))}

    def eval_step(state: TrainState, batch: Batch, key: Key) -> Metrics:
        condition = condition_of(batch)
        real_logits = discriminate(state, batch["image"], *condition)
        fake = decode(state, example_normal(key, batch["index"], (latent_size,)), *condition)
        return discriminator_metrics(real_logits, discriminate(state, fake, *condition))

    def prior(key: Key, num_samples: int) -> jax.Array:
        return example_normal(key, jnp.arange(num_samples, dtype=jnp.uint32), (latent_size,))

    def decode(state: TrainState, latents: jax.Array, *condition: jax.Array) -> jax.Array:
        params = averaged_params(state, "generator")
        return apply_network(generator, params, state.model_state["generator"], latents, *condition, train=False)[0]

    def discriminate(state: TrainState, images: jax.Array, *condition: jax.Array) -> jax.Array:
        params, model_state = state.params["discriminator"], state.model_state["discriminator"]
        return apply_network(discriminator, params, model_state, images, *condition, train=False)[0]

    def conditions(num_samples: int) -> jax.Array:
        return jnp.arange(num_samples, dtype=jnp.int32) % num_classes

    def sample(state: TrainState, key: Key, num_samples: int, *, condition: jax.Array | None = None) -> jax.Array:
        if num_classes is None:
            if condition is not None:
                raise ValueError("this GAN is unconditional: leave out `condition`")
            return decode(state, prior(key, num_samples))
        return decode(state, prior(key, num_samples), conditions(num_samples) if condition is None else condition)

    functions = {"prior": prior, "decode": decode, "discriminate": discriminate}
    if num_classes is not None:
        functions["conditions"] = conditions
    return GenerativeModel(init, train_step, eval_step, sample, functions)
