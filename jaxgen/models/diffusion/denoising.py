"""Uses of a trained diffusion model: denoising, sampling and inpainting."""

import functools
from collections.abc import Callable
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.core.errors import UserError
from jaxgen.core.keys import example_normal
from jaxgen.core.state import TrainState, averaged_params
from jaxgen.core.types import ConditionValue, Key, present
from jaxgen.models.conditional_samples import chosen_condition
from jaxgen.models.diffusion.preconditioning import Preconditioning
from jaxgen.models.diffusion.samplers import REPEATS, SAMPLERS, Denoiser, check_sampler, repainted
from jaxgen.models.diffusion.spec import Diffusion


def denoise(diffusion: Diffusion, state: TrainState, x: jax.Array, sigma: jax.Array, *given: jax.Array) -> jax.Array:
    """Return D(x, sigma) [B, H, W, C] of x [B, H, W, C] under noise of the levels sigma [B].

    Args:
      given: the conditions [B, ...]; in a conditional model, leaving them out means no condition.
    """
    variables = {"params": averaged_params(state, "diffusion"), **state.model_state["network"]}
    if diffusion.condition is not None and not given:
        none = diffusion.condition.none
        given = (jnp.broadcast_to(jnp.asarray(none), (len(x), *np.shape(none))),)
    preconditioning = diffusion.preconditioning
    inputs = network_inputs(preconditioning, x, sigma)
    outputs = cast(jax.Array, diffusion.network.apply(variables, *inputs, *given, train=False))
    return over_pixels(preconditioning.c_skip(sigma)) * x + over_pixels(preconditioning.c_out(sigma)) * outputs


def denoiser(diffusion: Diffusion, state: TrainState, given: tuple[jax.Array, ...], guidance: float = 1.0) -> Denoiser:
    """Return the denoiser (x [N, H, W, C], sigma []) -> [N, H, W, C] that samplers take, guided toward any conditions.

    Args:
      given: the conditions [N, ...], or nothing.
    """

    def guided(x: jax.Array, sigma: jax.Array) -> jax.Array:
        sigmas = jnp.full(len(x), sigma)
        if not given or guidance == 1.0:
            return denoise(diffusion, state, x, sigmas, *given)
        both = jnp.concatenate([given[0], without(diffusion, given[0], jnp.ones(len(x), bool))])
        outputs = denoise(diffusion, state, jnp.tile(x, (2, 1, 1, 1)), jnp.tile(sigmas, 2), both)
        conditional, unconditional = jnp.split(outputs, 2)
        return unconditional + guidance * (conditional - unconditional)

    return guided


def sample(  # its keywords are what `jaxgen sample` and `jaxgen evaluate` offer
    diffusion: Diffusion,
    state: TrainState,
    key: Key,
    num_samples: int,
    *,
    condition: ConditionValue = None,
    sampler: str | None = None,
    sampling_steps: int | None = None,
    guidance: float | None = None,
) -> jax.Array:
    """Draw images [N, H, W, C] in [-1, 1].

    Args:
      condition: the condition of each image, [N, ...]; None: the conditions `of_samples` of the spec's `condition`.
      sampler: name of a sampler in `SAMPLERS`; None: the spec's.
      sampling_steps: number of steps of the sampler; None: the spec's.
      guidance: weight of the condition (1: without guidance); None: the spec's.
    """
    of_samples = None if diffusion.condition is None else diffusion.condition.of_samples
    condition = chosen_condition(condition, num_samples, of_samples)
    given = () if condition is None else (condition,)
    options = {"sampler": sampler, "sampling_steps": sampling_steps, "guidance": guidance}
    return draw(diffusion, state, key, num_samples, given, **options)


def inpaint(
    diffusion: Diffusion,
    state: TrainState,
    key: Key,
    images: jax.Array,
    mask: jax.Array,
    *given: jax.Array,
    repeats: int = REPEATS,
    sampler: str | None = None,
    sampling_steps: int | None = None,
    guidance: float | None = None,
) -> jax.Array:
    """Draw images [N, H, W, C] where the mask [N, H, W, 1] is 0, and keep them as given where it is 1.

    Args:
      given: the conditions [N, ...]; in a conditional model, leaving them out means no condition.
      repeats: how often each step is taken (`jaxgen.models.diffusion.samplers.repainted`).
      sampler: name of a sampler in `SAMPLERS`; None: the spec's.
      sampling_steps: number of steps of the sampler; None: the spec's.
      guidance: weight of the condition (1: without guidance); None: the spec's.
    """

    # Known pixels are "denoised" to themselves, so that their noise falls along with that of the rest.
    def finish(denoised: jax.Array) -> jax.Array:
        return jnp.where(mask > 0, images, denoised)

    options = {"sampler": sampler, "sampling_steps": sampling_steps, "guidance": guidance}
    return draw(diffusion, state, key, len(images), given, finish, repeats=repeats, **options)


def draw(
    diffusion: Diffusion,
    state: TrainState,
    key: Key,
    num_samples: int,
    given: tuple[jax.Array, ...],
    finish: Callable[[jax.Array], jax.Array] = lambda denoised: denoised,
    *,
    sampler: str | None = None,
    sampling_steps: int | None = None,
    guidance: float | None = None,
    repeats: int = 1,
) -> jax.Array:
    """Draw samples whose denoised images are clipped to [-1, 1] and passed through `finish` at every step."""
    sampler = diffusion.sampler if sampler is None else sampler
    sampling_steps = diffusion.sampling_steps if sampling_steps is None else sampling_steps
    guidance = diffusion.guidance if guidance is None else guidance
    check_sampler(sampler, sampling_steps)
    if not given and guidance != 1.0:
        raise UserError("--guidance needs a condition, and this model has none: leave it out.")
    start_key, step_key = jax.random.split(key)
    denoise_x = denoiser(diffusion, state, given, guidance)
    sigmas = jnp.asarray(diffusion.noise_levels.sigmas(sampling_steps))
    start = example_normal(start_key, jnp.arange(num_samples, dtype=jnp.uint32), diffusion.image_shape)
    steps = SAMPLERS[sampler] if repeats == 1 else functools.partial(repainted, SAMPLERS[sampler], repeats=repeats)
    images = steps(
        lambda x, sigma: finish(jnp.clip(denoise_x(x, sigma), -1.0, 1.0)), sigmas[0] * start, sigmas, step_key
    )
    return jnp.clip(images, -1.0, 1.0)


def without(diffusion: Diffusion, given: jax.Array, left_out: jax.Array) -> jax.Array:
    """Return conditions [B, ...], replaced by the source's `none` where `left_out` [B] is true."""
    left_out = left_out.reshape(-1, *(1,) * (given.ndim - 1))
    return jnp.where(left_out, jnp.asarray(present(diffusion.condition).none, given.dtype), given)


def network_inputs(preconditioning: Preconditioning, x: jax.Array, sigma: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the network's inputs for x [B, H, W, C] under noise of the levels sigma [B]."""
    return over_pixels(preconditioning.c_in(sigma)) * x, jnp.log(sigma) / 4.0


def over_pixels(values: jax.Array) -> jax.Array:
    """Reshape values [B] to [B, 1, 1, 1]."""
    return values[:, None, None, None]
