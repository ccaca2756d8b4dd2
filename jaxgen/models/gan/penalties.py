"""Discriminator regularizers: R1, R2, the gradient penalty of WGAN-GP, DRAGAN, consistency."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxgen.core.keys import example_keys, example_normal
from jaxgen.core.per_example import total
from jaxgen.core.reductions import mean_over_devices
from jaxgen.core.types import Metrics
from jaxgen.models.augmentation import random_shift


class PenaltyInputs(NamedTuple):
    """The inputs of a penalty."""

    discriminator: Callable[[jax.Array], jax.Array]
    """images [B, H, W, C] -> logits [B], with the current parameters."""
    real: jax.Array
    """[B, H, W, C], as the discriminator saw them."""
    real_logits: jax.Array
    """[B]."""
    generated: jax.Array
    """[B, H, W, C], as constants."""
    key: jax.Array
    """The key of the penalty's noise."""
    index: jax.Array  # pyright: ignore[reportIncompatibleMethodOverride]  # hides tuple.index, which nobody asks of it
    """[B], the examples' numbers: noise belongs to the example."""


Penalty = Callable[[PenaltyInputs], jax.Array]
"""A function that returns one value per example [B], to be weighted."""


def _input_gradients(discriminator: Callable[[jax.Array], jax.Array], images: jax.Array) -> jax.Array:
    """Return grad_x D(x) of each image, [B, H, W, C] -> [B, H * W * C]."""
    return jax.grad(lambda x: jnp.sum(discriminator(x)))(images).reshape(images.shape[0], -1)


def _distance_of_norm_from_one(gradients: jax.Array) -> jax.Array:
    """Return (|g| - 1)^2 of each row, [B, N] -> [B], with a finite gradient at g = 0."""
    return jnp.square(jnp.sqrt(jnp.sum(jnp.square(gradients), -1) + 1e-12) - 1.0)


def zero_centered_penalty(discriminator: Callable[[jax.Array], jax.Array], images: jax.Array) -> jax.Array:
    """Return 1/2 |grad_x D(x)|^2 of each image, [B, H, W, C] -> [B]."""
    return 0.5 * jnp.sum(jnp.square(_input_gradients(discriminator, images)), -1)


def r1(inputs: PenaltyInputs) -> jax.Array:
    """Return `zero_centered_penalty` at real images (Mescheder et al. 2018, arXiv:1801.04406, eq. 9)."""
    return zero_centered_penalty(inputs.discriminator, inputs.real)


def r2(inputs: PenaltyInputs) -> jax.Array:
    """Return `zero_centered_penalty` at generated images (Mescheder et al. 2018, eq. 10)."""
    return zero_centered_penalty(inputs.discriminator, inputs.generated)


NOISE = 0.01


def r1_estimate(inputs: PenaltyInputs) -> jax.Array:
    """Return `r1` without second derivatives: 1/2 (D(x) - D(x + s n))^2 / s^2 with normal n and s = `NOISE`.

    Its mean over n is `r1` for small s (Lin et al. 2025, arXiv:2501.08316). It costs one more forward and
    backward pass, and is noisy for each example.
    """
    noisy = inputs.real + NOISE * example_normal(inputs.key, inputs.index, inputs.real.shape[1:])
    return 0.5 * jnp.square((inputs.real_logits - inputs.discriminator(noisy)) / NOISE)


def gradient_penalty(inputs: PenaltyInputs) -> jax.Array:
    """Return (|grad D(y)| - 1)^2 at y = u x + (1 - u) G(z), u uniform in [0, 1]: the penalty of WGAN-GP.

    Gulrajani et al. 2017, arXiv:1704.00028, eq. 3.
    """
    keys = example_keys(inputs.key, inputs.index)
    mix = jax.vmap(jax.random.uniform)(keys).reshape((-1,) + (1,) * (inputs.real.ndim - 1))
    between = inputs.generated + mix * (inputs.real - inputs.generated)
    return _distance_of_norm_from_one(_input_gradients(inputs.discriminator, between))


def dragan(inputs: PenaltyInputs) -> jax.Array:
    """Return (|grad D(x + d)| - 1)^2 with normal noise d around real images x.

    Kodali et al. 2017, arXiv:1705.07215, eq. 1.

    The noise has half the standard deviation of the batch's values, the scale of the authors' code.
    """
    real = inputs.real
    mean = mean_over_devices(jnp.mean(real))
    scale = 0.5 * jnp.sqrt(mean_over_devices(jnp.mean(jnp.square(real - mean))))
    noisy = real + scale * example_normal(inputs.key, inputs.index, real.shape[1:])
    return _distance_of_norm_from_one(_input_gradients(inputs.discriminator, noisy))


def consistency(inputs: PenaltyInputs) -> jax.Array:
    """Return (D(x) - D(T(x)))^2 of real images, with T a shift by up to an eighth of their size.

    Zhang et al. 2020, arXiv:1910.12027.
    """
    pixels = max(1, inputs.real.shape[1] // 8)
    moved = random_shift(inputs.real, example_keys(inputs.key, inputs.index), pixels)
    return jnp.square(inputs.real_logits - inputs.discriminator(moved))


PENALTIES: dict[str, Penalty] = {
    "r1": r1,
    "r2": r2,
    "r1_estimate": r1_estimate,
    "gradient_penalty": gradient_penalty,
    "dragan": dragan,
    "consistency": consistency,
}


def total_penalty(
    weights: Mapping[str, float], every: int, step: jax.Array, inputs: PenaltyInputs
) -> tuple[jax.Array, Metrics]:
    """Return the weighted sum of penalties [B], and the metrics `discriminator/NAME` of each.

    Penalties are taken in every `every`-th step only, and are then `every` times as strong (Karras et al. 2020,
    arXiv:1912.04958, section 3.1): their mean gradient is the same, at less cost.
    """

    def values_of() -> dict[str, jax.Array]:
        keys = [inputs.key] if len(weights) == 1 else jax.random.split(inputs.key, len(weights))
        return {name: PENALTIES[name](inputs._replace(key=key)) for name, key in zip(weights, keys, strict=True)}

    if every == 1:
        due, values = jnp.array(True), values_of()
    else:
        none = dict.fromkeys(weights, jnp.zeros_like(inputs.real_logits))
        due = step % every == 0
        values = jax.lax.cond(due, values_of, lambda: none)
    metrics = {f"discriminator/{name}": (jnp.sum(x), jnp.where(due, float(x.size), 0.0)) for name, x in values.items()}
    return total(every * weights[name] * x for name, x in values.items()), metrics
