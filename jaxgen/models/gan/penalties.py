"""What is added to the discriminator's loss to keep its function tame."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxgen.core.keys import example_keys, example_normal
from jaxgen.core.reductions import mean_over_devices
from jaxgen.core.state import Metrics
from jaxgen.models.augmentation import random_shift


class Judged(NamedTuple):
    """What a penalty may look at."""

    discriminator: Callable[[jax.Array], jax.Array]
    """Images [B, H, W, C] -> logits [B], with the current parameters."""
    real: jax.Array
    """[B, H, W, C], as the discriminator saw them."""
    real_logits: jax.Array
    """[B]."""
    generated: jax.Array
    """[B, H, W, C], as constants."""
    key: jax.Array
    index: jax.Array
    """[B], the examples' numbers: noise belongs to the example."""


Penalty = Callable[[Judged], jax.Array]
"""-> [B], one value per example, to be weighted."""


def _input_gradients(discriminator: Callable[[jax.Array], jax.Array], images: jax.Array) -> jax.Array:
    """grad_x D(x) of each image, [B, H, W, C] -> [B, H * W * C]."""
    return jax.grad(lambda x: jnp.sum(discriminator(x)))(images).reshape(images.shape[0], -1)


def _distance_of_norm_from_one(gradients: jax.Array) -> jax.Array:
    """(|g| - 1)^2 of each row [B, N] -> [B], with a finite gradient at g = 0."""
    return jnp.square(jnp.sqrt(jnp.sum(jnp.square(gradients), -1) + 1e-12) - 1.0)


def zero_centered(discriminator: Callable[[jax.Array], jax.Array], images: jax.Array) -> jax.Array:
    """1/2 |grad_x D(x)|^2 of each image, [B, H, W, C] -> [B]."""
    return 0.5 * jnp.sum(jnp.square(_input_gradients(discriminator, images)), -1)


def r1(judged: Judged) -> jax.Array:
    """`zero_centered` at real images (Mescheder et al. 2018, arXiv:1801.04406, eq. 9)."""
    return zero_centered(judged.discriminator, judged.real)


def r2(judged: Judged) -> jax.Array:
    """`zero_centered` at generated images (Mescheder et al. 2018, eq. 10)."""
    return zero_centered(judged.discriminator, judged.generated)


NOISE = 0.01


def r1_estimate(judged: Judged) -> jax.Array:
    """`r1` without second derivatives: 1/2 (D(x) - D(x + s n))^2 / s^2 with normal n and s = `NOISE`.

    Its mean over n is that of `r1` for small s (Lin et al. 2025, arXiv:2501.08316). It costs one more forward and
    backward pass, and is noisy for each example.
    """
    noisy = judged.real + NOISE * example_normal(judged.key, judged.index, judged.real.shape[1:])
    return 0.5 * jnp.square((judged.real_logits - judged.discriminator(noisy)) / NOISE)


def gradient_penalty(judged: Judged) -> jax.Array:
    """(|grad D(y)| - 1)^2 at y = u x + (1 - u) G(z), u uniform in [0, 1] (Gulrajani et al. 2017, arXiv:1704.00028)."""
    keys = example_keys(judged.key, judged.index)
    mix = jax.vmap(jax.random.uniform)(keys).reshape((-1,) + (1,) * (judged.real.ndim - 1))
    between = judged.generated + mix * (judged.real - judged.generated)
    return _distance_of_norm_from_one(_input_gradients(judged.discriminator, between))


def dragan(judged: Judged) -> jax.Array:
    """(|grad D(x + d)| - 1)^2 with normal noise d around real images (Kodali et al. 2017, arXiv:1705.07215, eq. 1).

    The noise has half the standard deviation of the batch's values, the scale of the authors' code.
    """
    real = judged.real
    mean = mean_over_devices(jnp.mean(real))
    scale = 0.5 * jnp.sqrt(mean_over_devices(jnp.mean(jnp.square(real - mean))))
    noisy = real + scale * example_normal(judged.key, judged.index, real.shape[1:])
    return _distance_of_norm_from_one(_input_gradients(judged.discriminator, noisy))


def consistency(judged: Judged) -> jax.Array:
    """(D(x) - D(T(x)))^2 for real images and T a shift by up to an eighth (Zhang et al. 2020, arXiv:1910.12027)."""
    pixels = max(1, judged.real.shape[1] // 8)
    moved = random_shift(judged.real, example_keys(judged.key, judged.index), pixels)
    return jnp.square(judged.real_logits - judged.discriminator(moved))


PENALTIES: dict[str, Penalty] = {
    "r1": r1,
    "r2": r2,
    "r1_estimate": r1_estimate,
    "gradient_penalty": gradient_penalty,
    "dragan": dragan,
    "consistency": consistency,
}


def total_penalty(
    weights: Mapping[str, float], every: int, step: jax.Array, judged: Judged
) -> tuple[jax.Array, Metrics]:
    """The weighted sum of penalties [B], and the metrics `discriminator/NAME` of each.

    They are taken in every `every`-th step only, and are then so many times as strong (Karras et al. 2020,
    arXiv:1912.04958, section 3.1): their gradient is the same in the mean, at less cost.
    """

    def values_of() -> dict[str, jax.Array]:
        keys = [judged.key] if len(weights) == 1 else jax.random.split(judged.key, len(weights))
        return {name: PENALTIES[name](judged._replace(key=key)) for name, key in zip(weights, keys, strict=True)}

    if every == 1:
        due, values = jnp.array(True), values_of()
    else:
        none = dict.fromkeys(weights, jnp.zeros_like(judged.real_logits))
        due = step % every == 0
        values = jax.lax.cond(due, values_of, lambda: none)
    metrics = {f"discriminator/{name}": (jnp.sum(x), jnp.where(due, float(x.size), 0.0)) for name, x in values.items()}
    return sum(every * weights[name] * x for name, x in values.items()), metrics
