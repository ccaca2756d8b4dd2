"""StyleGAN2 (Karras et al. 2020, https://arxiv.org/abs/1912.04958), with adaptive augmentation (arXiv:2006.06676)."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxgen.core.errors import UserError
from jaxgen.core.keys import example_keys, example_normal
from jaxgen.core.model import GenerativeModel
from jaxgen.core.reductions import mean_over_devices
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
from jaxgen.models.conditional_samples import classes_in_turn, normal_prior, sample_by_condition
from jaxgen.models.gan.losses import LOSSES
from jaxgen.models.gan.parts import (
    adapted,
    augmentation_metrics,
    augmented,
    discriminator_metrics,
    initial_probability,
    keep,
)
from jaxgen.models.gan.penalties import zero_centered
from jaxgen.models.stylegan2.parts import mixed_styles, moved_mean, path_lengths
from jaxgen.models.variables import apply_network, init_network
from jaxgen.networks.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator, draw_noise, num_styles


def stylegan2(
    generator: StyleGAN2Generator,
    discriminator: StyleGAN2Discriminator,
    *,
    latent_size: int,
    generator_optimizer: optax.GradientTransformation,
    discriminator_optimizer: optax.GradientTransformation,
    r1_weight: float = 10.0,
    r1_every: int = 16,
    path_weight: float = 2.0,
    path_every: int = 4,
    path_share: int = 2,
    mixing: float = 0.9,
    ema_decay: float = 0.999,
    style_decay: float = 0.995,
    augmentation: Augmentation | None = None,
) -> GenerativeModel:
    """StyleGAN2 on batches with `image` [B, H, W, C] in [-1, 1], and `label` [B] where the networks have classes.

    A step updates the generator by -log s(D(G(z))), in every `path_every`-th also by its path length, then the
    discriminator by -log s(D(x)) - log(1 - s(D(G(z)))), in every `r1_every`-th also by R1. Each of the four updates
    has latents and noise of its own and is taken with the optimizer of its network; the regularizers are
    as many times as strong as their updates are rare (section 3.1).

    Args:
      generator_optimizer, discriminator_optimizer: see `stylegan2_parts.lazy_adam`.
      r1_weight: gamma of gamma / 2 |grad_x D(x)|^2, at real images before augmentation. 0: no such update.
      path_weight: of (|J^T y| - a)^2, where a is the running mean of |J^T y| (eq. 4), and is held constant. 0: none.
      path_share: the path length is taken of one in so many examples of the batch.
      mixing: how often an example has two styles, the second from a random layer on (Karras et al. 2019, section 3.1).
      ema_decay: of the moving average of the generator.
      style_decay: of the moving average of styles, toward which samples are truncated.
      augmentation: of all that the discriminator sees while it is trained.

    `sample(..., truncation=t)` and `decode(..., truncation=t)` take styles t of the way from the average style to their
    own (Karras et al. 2019, appendix B); 1 leaves them, 0 gives one image. Samples have noise of their own; `decode`
    has the same for all, so that it is a function of its latents alone. All are cut to [-1, 1].

    `functions`: `prior(key, num_samples) -> latents [B, L]`, `decode(state, latents, *condition, truncation=1)`,
    `styles(state, latents, *condition, truncation=1) -> [B, N, S]`, `synthesize(state, styles, noise=None) -> images`
    (not cut; noise: `networks.stylegan2.draw_noise`), `average_style(state) -> [S]`, `fixed_noise() -> noise`,
    `discriminate(state, images, *condition) -> logits`, which depend on the batch, and with classes `conditions`.

    Raises:
      UserError: a device's batch is no multiple of `path_share`.
    """
    losses = LOSSES["non_saturating"]
    optimizers = {"generator": generator_optimizer, "discriminator": discriminator_optimizer}
    image_shape, num_classes = tuple(generator.image_shape), generator.num_classes
    layers = num_styles(image_shape)
    conditions = None if num_classes is None else classes_in_turn(num_classes)
    augment = functools.partial(augmented, augmentation)
    prior = normal_prior(latent_size)

    # ------------------------------------------------------------ networks

    def init(key: Key, batch: Batch) -> TrainState:
        run_key, generator_key, discriminator_key = jax.random.split(key, 3)
        images, labels = batch["image"], ()
        if num_classes is not None:
            labels = (jnp.zeros(images.shape[:1], jnp.int32),)
        params = {
            name: init_network(network, network_key, inputs, *labels)[0]
            for name, network, network_key, inputs in (
                ("generator", generator, generator_key, jnp.zeros((len(images), latent_size), images.dtype)),
                ("discriminator", discriminator, discriminator_key, images),
            )
        }
        model_state = initial_probability(augmentation) | {
            "average_style": {"mean": jnp.zeros(generator.style_size)},
        }
        if path_weight:
            model_state["path_length"] = {"mean": jnp.zeros(())}
        return create_state(run_key, params, optimizers, model_state=model_state, averaged=("generator",))

    def map_latents(params: Any, latents: jax.Array, labels: Sequence[jax.Array]) -> jax.Array:
        return generator.apply({"params": params}, latents, *labels, method="map")

    def synthesize_with(params: Any, styles: jax.Array, noise: Sequence[jax.Array]) -> jax.Array:
        return generator.apply({"params": params}, styles, noise, method="synthesize")

    def judge(params: Any, images: jax.Array, labels: Sequence[jax.Array], *, train: bool = True) -> jax.Array:
        return apply_network(discriminator, params, {}, images, *labels, train=train)[0]

    def draw_styles(params: Any, key: Key, index: jax.Array, labels: Sequence[jax.Array]) -> jax.Array:
        """[B, N, S], some of them mixed; the first layer's is that of the first latents."""
        latents_key, mixing_key = jax.random.split(key)
        latents = example_normal(latents_key, index, (2, latent_size))
        twice = [jnp.repeat(label, 2) for label in labels]
        both = map_latents(params, latents.reshape(-1, latent_size), twice).reshape(len(index), 2, -1)
        return mixed_styles(both, example_keys(mixing_key, index), layers, mixing)

    def labels_of(batch: Batch, every: int = 1) -> tuple[jax.Array, ...]:
        return () if num_classes is None else (batch["label"][::every],)

    def noise_of(key: Key, index: jax.Array) -> list[jax.Array]:
        return draw_noise(example_keys(key, index), image_shape)

    # ------------------------------------------------------------ the four updates

    def update_generator(state: TrainState, batch: Batch, key: Key) -> tuple[TrainState, Metrics]:
        styles_key, noise_key, augment_key = jax.random.split(key, 3)
        index, labels = batch["index"], labels_of(batch)

        def loss_of(params: Any) -> tuple[jax.Array, Any]:
            styles = draw_styles(params, styles_key, index, labels)
            images = synthesize_with(params, styles, noise_of(noise_key, index))
            logits = judge(
                state.params["discriminator"], augment(state, images, example_keys(augment_key, index)), labels
            )
            values = losses.generator(logits, logits)
            return jnp.mean(values), (values, styles)

        grads, (values, styles) = jax.grad(loss_of, has_aux=True)(state.params["generator"])
        average = state.model_state["average_style"]["mean"]
        average += (1.0 - style_decay) * (mean_over_devices(jnp.mean(styles[:, 0], 0)) - average)
        state = keep(state, "average_style", {"mean": average})
        return update(state, "generator", grads, generator_optimizer), {"generator/loss": sum_and_count(values)}

    def update_path_length(state: TrainState, batch: Batch, key: Key) -> tuple[TrainState, Metrics]:
        styles_key, noise_key, direction_key = jax.random.split(key, 3)
        # Examples of a smaller batch, numbered anew, so that the devices' parts of it are again one batch.
        index, labels = batch["index"][::path_share] // path_share, labels_of(batch, path_share)
        directions = example_normal(direction_key, index, image_shape) / (image_shape[0] * image_shape[1]) ** 0.5

        def loss_of(params: Any) -> tuple[jax.Array, Any]:
            noise = noise_of(noise_key, index)
            styles = draw_styles(params, styles_key, index, labels)
            lengths = path_lengths(lambda styles: synthesize_with(params, styles, noise), styles, directions)
            mean = moved_mean(state.model_state["path_length"]["mean"], lengths)
            values = jnp.square(lengths - mean)
            return path_every * path_weight * jnp.mean(values), (values, lengths, mean)

        grads, (values, lengths, mean) = jax.grad(loss_of, has_aux=True)(state.params["generator"])
        state = update(keep(state, "path_length", {"mean": mean}), "generator", grads, generator_optimizer)
        return state, {
            "generator/path_penalty": sum_and_count(jnp.repeat(values, path_share)),
            "generator/path_length": sum_and_count(jnp.repeat(lengths, path_share)),
        }

    def update_discriminator(state: TrainState, batch: Batch, key: Key) -> tuple[TrainState, Metrics]:
        styles_key, noise_key, real_key, fake_key = jax.random.split(key, 4)
        index, labels, params = batch["index"], labels_of(batch), state.params["generator"]
        fake = synthesize_with(params, draw_styles(params, styles_key, index, labels), noise_of(noise_key, index))
        real = augment(state, batch["image"], example_keys(real_key, index))
        fake = augment(state, fake, example_keys(fake_key, index))

        def loss_of(params: Any) -> tuple[jax.Array, Any]:
            real_logits, fake_logits = judge(params, real, labels), judge(params, fake, labels)
            values = losses.discriminator(real_logits, fake_logits)
            return jnp.mean(values), (values, real_logits, fake_logits)

        grads, (values, *logits) = jax.grad(loss_of, has_aux=True)(state.params["discriminator"])
        state = update(adapted(augmentation, state, logits[0]), "discriminator", grads, discriminator_optimizer)
        return state, discriminator_metrics(values, *logits)

    def update_r1(state: TrainState, batch: Batch, key: Key) -> tuple[TrainState, Metrics]:
        index, labels = batch["index"], labels_of(batch)

        def loss_of(params: Any) -> tuple[jax.Array, jax.Array]:
            def logits(images: jax.Array) -> jax.Array:
                return judge(params, augment(state, images, example_keys(key, index)), labels)

            values = zero_centered(logits, batch["image"])
            return r1_every * r1_weight * jnp.mean(values), values

        grads, values = jax.grad(loss_of, has_aux=True)(state.params["discriminator"])
        state = update(state, "discriminator", grads, discriminator_optimizer)
        return state, {"discriminator/r1": sum_and_count(values)}

    def lazily(
        update: Callable, every: int, names: Sequence[str], state: TrainState, batch: Batch, key: Key
    ) -> tuple[TrainState, Metrics]:
        none = dict.fromkeys(names, (jnp.zeros((), jnp.float32), jnp.zeros((), jnp.float32)))  # as `sum_and_count`
        due = state.step % every == 0
        return jax.lax.cond(due, lambda state: update(state, batch, key), lambda state: (state, none), state)

    def train_step(state: TrainState, batch: Batch, key: Key) -> tuple[TrainState, Metrics]:
        generator_key, path_key, discriminator_key, r1_key = jax.random.split(key, 4)
        state, metrics = update_generator(state, batch, generator_key)
        if path_weight:
            if len(batch["image"]) % path_share:
                raise UserError(
                    f"The path length is taken of one in {path_share} examples, which a batch of "
                    f"{len(batch['image'])} on each device cannot be split into: choose another --batch-size."
                )
            names = ("generator/path_penalty", "generator/path_length")
            state, more = lazily(update_path_length, path_every, names, state, batch, path_key)
            metrics |= more
        state, more = update_discriminator(state, batch, discriminator_key)
        metrics |= more
        if r1_weight:
            state, more = lazily(update_r1, r1_every, ("discriminator/r1",), state, batch, r1_key)
            metrics |= more
        metrics |= augmentation_metrics(state, len(batch["image"]))
        state = update_average(state, "generator", ema_decay)
        return state.replace(step=state.step + 1), metrics

    # ------------------------------------------------------------ use

    def styles_of(
        state: TrainState, latents: jax.Array, *condition: jax.Array, truncation: float | jax.Array = 1.0
    ) -> jax.Array:
        style = map_latents(averaged_params(state, "generator"), latents, condition)
        average = average_style(state)
        return jnp.repeat((average + truncation * (style - average))[:, None], layers, 1)

    def synthesize(state: TrainState, styles: jax.Array, noise: Sequence[jax.Array] | None = None) -> jax.Array:
        noise = fixed_noise() if noise is None else noise
        return synthesize_with(averaged_params(state, "generator"), styles, noise)

    def average_style(state: TrainState) -> jax.Array:
        return state.model_state["average_style"]["mean"]

    def fixed_noise() -> list[jax.Array]:
        return draw_noise(jax.random.key(0)[None], image_shape)

    def decode(
        state: TrainState, latents: jax.Array, *condition: jax.Array, truncation: float | jax.Array = 1.0
    ) -> jax.Array:
        return jnp.clip(synthesize(state, styles_of(state, latents, *condition, truncation=truncation)), -1.0, 1.0)

    def discriminate(state: TrainState, images: jax.Array, *condition: jax.Array) -> jax.Array:
        return judge(state.params["discriminator"], images, condition, train=False)

    def drawn(
        state: TrainState, key: Key, num_samples: int, labels: jax.Array | None, *, truncation: float
    ) -> jax.Array:
        latents_key, noise_key = jax.random.split(key)
        condition = () if labels is None else (labels,)
        styles = styles_of(state, prior(latents_key, num_samples), *condition, truncation=truncation)
        noise = noise_of(noise_key, jnp.arange(num_samples, dtype=jnp.uint32))
        return jnp.clip(synthesize(state, styles, noise), -1.0, 1.0)

    by_condition = sample_by_condition(drawn, conditions)

    def sample(  # its keywords are what `jaxgen sample` and `jaxgen evaluate` offer
        state: TrainState, key: Key, num_samples: int, *, condition: jax.Array | None = None, truncation: float = 1.0
    ) -> jax.Array:
        return by_condition(state, key, num_samples, condition=condition, truncation=truncation)

    def eval_step(state: TrainState, batch: Batch, key: Key) -> Metrics:
        latents_key, noise_key = jax.random.split(key)
        index, labels = batch["index"], labels_of(batch)
        styles = styles_of(state, example_normal(latents_key, index, (latent_size,)), *labels)
        fake = jnp.clip(synthesize(state, styles, noise_of(noise_key, index)), -1.0, 1.0)
        logits = [discriminate(state, images, *labels) for images in (batch["image"], fake)]
        return discriminator_metrics(losses.discriminator(*logits), *logits)

    functions = {
        "prior": prior,
        "decode": decode,
        "styles": styles_of,
        "synthesise": synthesize,
        "average_style": average_style,
        "fixed_noise": fixed_noise,
        "discriminate": discriminate,
    }
    if conditions is not None:
        functions["conditions"] = conditions
    return GenerativeModel(init, train_step, eval_step, sample, table=functions)
