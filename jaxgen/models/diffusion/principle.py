"""Diffusion models: EDM, and DDPM and flow matching as special cases (`jaxgen.models.diffusion.preconditioning`)."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgen.core.errors import UserError
from jaxgen.core.keys import example_chances, example_keys, example_normal
from jaxgen.core.model import GenerativeModel
from jaxgen.core.per_example import row_means, rows
from jaxgen.core.state import Batch, Key, TrainState, averaged_params
from jaxgen.metrics.likelihood import bits_per_dimension
from jaxgen.models.conditional_samples import captions_in_turn, classes_in_turn, normal_prior, sample_by_condition
from jaxgen.models.diffusion.noise_levels import NoiseLevels, evenly_drawn
from jaxgen.models.diffusion.preconditioning import Preconditioning
from jaxgen.models.diffusion.probability_flow import log_density
from jaxgen.models.diffusion.samplers import REPEATS, SAMPLERS, Denoiser, check_sampler, heun, repainted
from jaxgen.models.likelihoods import HALF_BIN
from jaxgen.models.single_loss import LossOutput, one_loss_model
from jaxgen.models.variables import apply_network, init_network

WIDEST_RANGE = 0.002, 80.0
"""The noise levels between which likelihoods and latents are computed."""


class Condition(NamedTuple):
    """What images are drawn for."""

    entry: str
    """The batch's entry, [B, ...]."""
    none: Any
    """An array [...] that stands for no condition."""
    of_samples: Callable[[int], jax.Array]
    """The conditions [N, ...] of so many samples where none are given."""
    function: str = "conditions"
    """What the model's `functions` call that."""
    in_training: Callable[[jax.Array, Batch], jax.Array] | None = None
    """(keys [B], batch) -> what is trained on in place of the entry; None: the entry."""


def class_condition(num_classes: int) -> Condition:
    """The batch's `label` in 0..K-1; the network also gets K, for no class. Samples are of every class in turn."""
    return Condition("label", num_classes, classes_in_turn(num_classes))


def caption_condition(prompts: Any, in_training: Callable[[jax.Array, Batch], jax.Array] | None = None) -> Condition:
    """The batch's `caption` int [B, T], padded with 0; an empty one is none. Samples are of `prompts` [P, T] in turn.

    Args:
      in_training: (keys [B], batch) -> the captions [B, T] that are trained on; None: the batch's `caption`.
    """
    return Condition(
        "caption", np.zeros(np.shape(prompts)[1], np.int32), captions_in_turn(prompts), "captions", in_training
    )


def diffusion(
    network: nn.Module,
    *,
    image_shape: Sequence[int],
    preconditioning: Preconditioning,
    noise_levels: NoiseLevels,
    optimizer: optax.GradientTransformation,
    condition: Condition | None = None,
    condition_dropout: float = 0.1,
    guidance: float = 1.0,
    sampler: str = "heun",
    sampling_steps: int = 18,
    ema_decay: float | None = None,
    micro_batches: int = 1,
) -> GenerativeModel:
    """Images from noise, by a network that takes noise of any level out of an image [B, H, W, C] in [-1, 1].

    Args:
      network: `network(c_in x [B, H, W, C], log(sigma) / 4 [B], *condition, train=..., dropout_keys=[B] or None) ->
        [B, H, W, C]`.
      noise_levels: those it is trained on, and those of samplers.
      condition: what images are drawn for; None: nothing. In training it is left out with probability
        `condition_dropout`, so that the network knows both D(x | c) and D(x).
      guidance: w of classifier-free guidance, D(x) + w (D(x | c) - D(x)) (Ho and Salimans 2022, arXiv:2207.12598); at 1
        the condition alone, which takes half as long.
      sampler, sampling_steps: a name in `SAMPLERS`, and how many steps it takes.
      ema_decay: of the moving average that evaluation and samples use; None: no average.
      micro_batches: as of `one_loss_model`.

    Metrics: `diffusion/loss`, the mean of (F - target)^2 over pixels.

    `sample(state, key, num_samples, *, condition, sampler, sampling_steps, guidance)`: what is left out is as above.
    Denoised images are cut to [-1, 1] at every step.

    `functions`, `condition` being that, or nothing (in a model with one: that for none): `denoise(state, images,
    noise_levels [B], *condition) -> images`; `inpaint(state, key, images, mask, *condition, repeats, **options of
    sample) -> images`, drawn where the mask [B, H, W, 1] is 0 and as given where it is 1 (`samplers.repainted`); along
    the probability flow `prior(key, num_samples) -> latents [N, H W C]`, `decode(state, latents, *condition) ->
    images`, `encode(state, images, *condition) -> latents` and `reconstruct`, both; `log_likelihood(state, key, batch,
    num_samples) -> [B]`, log p(x), of a conditional model log p(x | the batch's condition), in nats of images of 256
    levels made continuous by uniform noise, a lower bound of that of the levels, the trace being estimated with so many
    directions; `bits_per_dimension(nats) -> bits`, of such a value; with classes `conditions(num_samples)`, with
    captions `captions(num_samples)`.

    Raises:
      UserError: an unknown sampler, no steps, or more than there are noise levels.
    """
    image_shape = tuple(image_shape)
    dimensions = int(np.prod(image_shape))
    check_sampler(sampler, sampling_steps)
    noise_levels.ladder(sampling_steps)  # or it is refused here

    # ------------------------------------------------------------ training

    def condition_of(batch: Batch) -> tuple[jax.Array, ...]:
        return () if condition is None else (batch[condition.entry],)

    def without(given: jax.Array, left_out: jax.Array) -> jax.Array:
        """Conditions [B, ...], those that are left out [B] replaced by that for none."""
        left_out = left_out.reshape(-1, *(1,) * (given.ndim - 1))
        return jnp.where(left_out, jnp.asarray(condition.none, given.dtype), given)

    def init_networks(key: Key, batch: Batch) -> tuple[Any, dict[str, Any]]:
        images = batch["image"]
        params, network_state = init_network(network, key, images, jnp.zeros(len(images)), *condition_of(batch))
        return params, {"network": network_state}

    def loss(params: Any, model_state: dict[str, Any], batch: Batch, key: Key, *, train: bool) -> LossOutput:
        level_key, noise_key, condition_key, dropout_key = jax.random.split(key, 4)
        images, index, given = batch["image"], batch["index"], condition_of(batch)
        if given and train and condition.in_training is not None:
            condition_key, own_key = jax.random.split(condition_key)
            given = (condition.in_training(example_keys(own_key, index), batch),)
        levels = noise_levels.quantile(evenly_drawn(level_key, index))  # [B]
        noisy = images + _wide(levels) * example_normal(noise_key, index, image_shape)
        if given and train and condition_dropout:
            given = (without(*given, example_chances(condition_key, index, condition_dropout)),)
        outputs, network_state = apply_network(
            network,
            params,
            model_state["network"],
            *_inputs(preconditioning, noisy, levels),
            *given,
            train=train,
            dropout_keys=example_keys(dropout_key, index) if train else None,
        )
        skip, out = (c(levels)[:, None] for c in (preconditioning.skip, preconditioning.out))
        errors = jnp.square(rows(outputs) - (rows(images) - skip * rows(noisy)) / out)
        return LossOutput(row_means(errors), {}, {**model_state, "network": network_state})

    # ------------------------------------------------------------ use

    def denoise(state: TrainState, x: jax.Array, levels: jax.Array, *given: jax.Array) -> jax.Array:
        variables = {"params": averaged_params(state, "diffusion"), **state.model_state["network"]}
        if condition is not None and not given:
            given = (jnp.broadcast_to(jnp.asarray(condition.none), (len(x), *np.shape(condition.none))),)
        outputs = network.apply(variables, *_inputs(preconditioning, x, levels), *given, train=False)
        return _wide(preconditioning.skip(levels)) * x + _wide(preconditioning.out(levels)) * outputs

    def denoiser_of(state: TrainState, given: tuple[jax.Array, ...], weight: float = 1.0) -> Denoiser:
        def denoiser(x: jax.Array, noise_level: jax.Array) -> jax.Array:
            levels = jnp.full(len(x), noise_level)
            if not given or weight == 1.0:
                return denoise(state, x, levels, *given)
            both = jnp.concatenate([*given, without(*given, jnp.ones(len(x), bool))])
            guided, free = jnp.split(denoise(state, jnp.tile(x, (2, 1, 1, 1)), jnp.tile(levels, 2), both), 2)
            return free + weight * (guided - free)

        return denoiser

    def draw(
        state: TrainState,
        key: Key,
        num_samples: int,
        given: tuple[jax.Array, ...],
        finish: Callable[[jax.Array], jax.Array],
        *,
        sampler: str = sampler,
        sampling_steps: int = sampling_steps,
        guidance: float = guidance,
        repeats: int = 1,
    ) -> jax.Array:
        """Samples whose denoised images, cut to [-1, 1], go through `finish` at every step."""
        check_sampler(sampler, sampling_steps)
        if not given and guidance != 1.0:
            raise UserError("--guidance is toward a condition, and this model has none: leave it out.")
        start_key, step_key = jax.random.split(key)
        denoiser, ladder = denoiser_of(state, given, guidance), jnp.asarray(noise_levels.ladder(sampling_steps))
        start = example_normal(start_key, jnp.arange(num_samples, dtype=jnp.uint32), image_shape)
        steps = SAMPLERS[sampler] if repeats == 1 else functools.partial(repainted, SAMPLERS[sampler], repeats=repeats)
        images = steps(
            lambda x, level: finish(jnp.clip(denoiser(x, level), -1.0, 1.0)), ladder[0] * start, ladder, key=step_key
        )
        return jnp.clip(images, -1.0, 1.0)

    conditions = None if condition is None else condition.of_samples
    drawn = sample_by_condition(
        lambda state, key, num_samples, given, **options: draw(
            state, key, num_samples, () if given is None else (given,), lambda denoised: denoised, **options
        ),
        conditions,
    )

    def sample(  # its keywords are what `jaxgen sample` and `jaxgen evaluate` offer
        state: TrainState,
        key: Key,
        num_samples: int,
        *,
        condition: Any = None,
        sampler: str = sampler,
        sampling_steps: int = sampling_steps,
        guidance: float = guidance,
    ) -> jax.Array:
        options = {"sampler": sampler, "sampling_steps": sampling_steps, "guidance": guidance}
        return drawn(state, key, num_samples, condition=condition, **options)

    def inpaint(
        state: TrainState,
        key: Key,
        images: jax.Array,
        mask: jax.Array,
        *given: jax.Array,
        repeats: int = REPEATS,
        **options: Any,
    ) -> jax.Array:
        # What is known is "denoised" to itself, and so goes down in noise beside the rest.
        def finish(denoised: jax.Array) -> jax.Array:
            return jnp.where(mask > 0, images, denoised)

        return draw(state, key, len(images), given, finish, repeats=repeats, **options)

    # ------------------------------------------------------------ along the probability flow

    prior = normal_prior(dimensions)

    def decode(state: TrainState, latents: jax.Array, *given: jax.Array) -> jax.Array:
        ladder = jnp.asarray(noise_levels.ladder(sampling_steps))
        start = ladder[0] * latents.reshape(-1, *image_shape)
        return jnp.clip(heun(denoiser_of(state, given), start, ladder), -1.0, 1.0)

    def encode(state: TrainState, images: jax.Array, *given: jax.Array) -> jax.Array:
        ladder = jnp.asarray(noise_levels.ladder(sampling_steps)[-2::-1])  # from the last level above 0 upwards
        return heun(denoiser_of(state, given), images, ladder).reshape(len(images), -1) / ladder[-1]

    def reconstruct(state: TrainState, images: jax.Array, *given: jax.Array) -> jax.Array:
        return decode(state, encode(state, images, *given), *given)

    def log_likelihood(state: TrainState, key: Key, batch: Batch, num_samples: int) -> jax.Array:
        noise_key, trace_key = jax.random.split(key)
        keys = example_keys(noise_key, batch["index"])
        noise = jax.vmap(lambda key: jax.random.uniform(key, image_shape, minval=-HALF_BIN, maxval=HALF_BIN))(keys)
        denoiser = denoiser_of(state, condition_of(batch))
        trace_keys = example_keys(trace_key, batch["index"])
        return log_density(denoiser, batch["image"] + noise, *WIDEST_RANGE, keys=trace_keys, directions=num_samples)

    functions: dict[str, Callable[..., Any]] = {
        "denoise": denoise,
        "inpaint": inpaint,
        "prior": prior,
        "decode": decode,
        "encode": encode,
        "reconstruct": reconstruct,
        "log_likelihood": log_likelihood,
        "bits_per_dimension": lambda nats: bits_per_dimension(-nats, dimensions, bin_width=2.0 * HALF_BIN),
    }
    if conditions is not None:
        functions[condition.function] = conditions
    return one_loss_model(
        name="diffusion",
        init_networks=init_networks,
        loss=loss,
        optimizer=optimizer,
        ema_decay=ema_decay,
        micro_batches=micro_batches,
        sample=sample,
        functions=functions,
    )


def _inputs(preconditioning: Preconditioning, x: jax.Array, levels: jax.Array) -> tuple[jax.Array, jax.Array]:
    """What the network gets of x [B, H, W, C] with noise of these levels [B]."""
    return _wide(preconditioning.into(levels)) * x, jnp.log(levels) / 4.0


def _wide(values: jax.Array) -> jax.Array:
    """[B] -> [B, 1, 1, 1]."""
    return values[:, None, None, None]
