"""The density of a diffusion model, along the flow that its denoiser defines."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxgen.core.per_example import row_sums, rows

STEPS = 32


def log_density(
    denoiser: Callable[[jax.Array, jax.Array], jax.Array],
    x: jax.Array,
    smallest: float,
    largest: float,
    *,
    keys: jax.Array,
    directions: int = 1,
    steps: int = STEPS,
) -> jax.Array:
    """log p(x) [B] in nats of x [B, ...] (Song et al. 2021, arXiv:2011.13456, section 4.3).

    With s = log(sigma), from log(smallest), where x is, to log(largest), where it has become x' ~ N(0, largest^2):

        dx / ds = x - D(x, sigma),    log p(x) = log N(x'; 0, largest^2) + integral (d - tr dD/dx) ds

    by the Runge-Kutta method of fourth order in even steps of s. The trace is the mean of v^T (dD/dx) v over directions
    v with entries 1 and -1 (Hutchinson), the same for the whole path; it is unbiased, and log p(x) with it.

    Args:
      denoiser: as of `jaxgen.models.diffusion.samplers`.
      keys: [B], of the directions.
    """
    dimensions = math.prod(x.shape[1:])
    start, size = math.log(smallest), math.log(largest / smallest) / steps

    def one_direction(i: jax.Array) -> jax.Array:
        draw = jax.vmap(lambda key: jax.random.rademacher(jax.random.fold_in(key, i), x.shape[1:], x.dtype))
        vectors = draw(keys)

        def slopes(x: jax.Array, log_level: jax.Array) -> tuple[jax.Array, jax.Array]:
            """dx / ds, and d - tr dD/dx [B]."""
            # Backwards, since the fast convolutions have no forward mode: v^T (dD/dx) v is the same either way.
            denoised, pull_back = jax.vjp(lambda x: denoiser(x, jnp.exp(log_level)), x)
            return x - denoised, dimensions - row_sums(rows(vectors) * rows(pull_back(vectors)[0]))

        def step(carry: tuple[jax.Array, jax.Array], log_level: jax.Array) -> tuple[tuple[jax.Array, jax.Array], None]:
            x, change = carry
            first = slopes(x, log_level)
            second = slopes(x + 0.5 * size * first[0], log_level + 0.5 * size)
            third = slopes(x + 0.5 * size * second[0], log_level + 0.5 * size)
            fourth = slopes(x + size * third[0], log_level + size)
            means = [(a + 2 * b + 2 * c + d) / 6 for a, b, c, d in zip(first, second, third, fourth, strict=True)]
            return (x + size * means[0], change + size * means[1]), None

        log_levels = start + size * jnp.arange(steps, dtype=x.dtype)
        (end, change), _ = jax.lax.scan(step, (x, jnp.zeros(len(x), x.dtype)), log_levels)
        squares = row_sums(jnp.square(rows(end))) / largest**2
        return change - 0.5 * squares - dimensions * math.log(largest * math.sqrt(2.0 * math.pi))

    return jnp.mean(jax.lax.map(one_direction, jnp.arange(directions)), 0)
