"""The density of a diffusion model, along the flow that its denoiser defines."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxgen.core.per_example import row_sums, rows
from jaxgen.models.diffusion.samplers import Denoiser

STEPS = 32

Slopes = Callable[[jax.Array, jax.Array], tuple[jax.Array, jax.Array]]


def log_density(
    denoiser: Denoiser,
    x: jax.Array,
    sigma_min: float,
    sigma_max: float,
    *,
    keys: jax.Array,
    directions: int = 1,
    steps: int = STEPS,
) -> jax.Array:
    """Return log p(x) [B] in nats of x [B, ...] (Song et al. 2021, arXiv:2011.13456, section 4.3).

    With s = log(sigma), from log(sigma_min), where x is, to log(sigma_max), where it has become x' ~ N(0, sigma_max^2):

        dx / ds = x - D(x, sigma),    log p(x) = log N(x'; 0, sigma_max^2) + integral (d - tr dD/dx) ds

    by the Runge-Kutta method of fourth order in even steps of s. The trace is the mean of v^T (dD/dx) v over directions
    v with entries 1 and -1 (Hutchinson), the same for the whole path; it is unbiased, and log p(x) with it.

    Args:
      denoiser: as in `jaxgen.models.diffusion.samplers`.
      keys: [B], from which the directions of each example are drawn.
    """
    dimensions = math.prod(x.shape[1:])
    start, size = math.log(sigma_min), math.log(sigma_max / sigma_min) / steps

    def one_direction(i: jax.Array) -> jax.Array:
        draw = jax.vmap(lambda key: jax.random.rademacher(jax.random.fold_in(key, i), x.shape[1:], x.dtype))
        slopes = _slopes(denoiser, draw(keys), dimensions)
        log_sigmas = start + size * jnp.arange(steps, dtype=x.dtype)
        (end, change), _ = jax.lax.scan(
            lambda carry, log_sigma: (_runge_kutta_step(slopes, carry, log_sigma, size), None),
            (x, jnp.zeros(len(x), x.dtype)),
            log_sigmas,
        )
        squares = row_sums(jnp.square(rows(end))) / sigma_max**2
        return change - 0.5 * squares - dimensions * math.log(sigma_max * math.sqrt(2.0 * math.pi))

    return jnp.mean(jax.lax.map(one_direction, jnp.arange(directions)), 0)


def _slopes(denoiser: Denoiser, directions: jax.Array, dimensions: int) -> Slopes:
    """Return (x, log sigma) -> (dx / ds, d - tr dD/dx [B])."""

    def slopes(x: jax.Array, log_sigma: jax.Array) -> tuple[jax.Array, jax.Array]:
        # Reverse mode, since the fast convolutions have no forward mode: v^T (dD/dx) v is the same either way.
        denoised, denoiser_vjp = jax.vjp(lambda x: denoiser(x, jnp.exp(log_sigma)), x)
        return x - denoised, dimensions - row_sums(rows(directions) * rows(denoiser_vjp(directions)[0]))

    return slopes


def _runge_kutta_step(
    slopes: Slopes, carry: tuple[jax.Array, jax.Array], log_sigma: jax.Array, size: float
) -> tuple[jax.Array, jax.Array]:
    """Return x and the integral after one step of this size."""
    x, change = carry
    first = slopes(x, log_sigma)
    second = slopes(x + 0.5 * size * first[0], log_sigma + 0.5 * size)
    third = slopes(x + 0.5 * size * second[0], log_sigma + 0.5 * size)
    fourth = slopes(x + size * third[0], log_sigma + size)
    means = [(a + 2 * b + 2 * c + d) / 6 for a, b, c, d in zip(first, second, third, fourth, strict=True)]
    return x + size * means[0], change + size * means[1]
