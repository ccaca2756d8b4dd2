"""Samplers of diffusion models, as plain functions of (denoiser, x, noise levels, key).

`denoiser(x [N, ...], noise_level []) -> [N, ...]` is the mean of the images y that x = y + sigma n may come from.
`x` [N, ...] is noise of the first level, and `noise_levels` [S + 1] go down from it, to 0 at last (`jaxgen.models.
noise_levels`). Sample i does not depend on how many others are drawn with it. The solvers of the probability-flow
equation

    dx / d sigma = (x - D(x, sigma)) / sigma        (Karras et al. 2022, arXiv:2206.00364, eq. 3)

need no key, and go up as well as down: from an image to the noise that it comes from.

A sampler of another formulation takes the same steps here once x is scaled (`noise_levels`): DDPM's
own is `ancestral`, DDIM `ddim`, and Euler's method for a flow `euler`.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxgen.core.errors import UserError
from jaxgen.core.keys import example_normal

Denoiser = Callable[[jax.Array, jax.Array], jax.Array]
Sampler = Callable[[Denoiser, jax.Array, jax.Array, jax.Array], jax.Array]
REPEATS = 10
"""Of `repainted`, as in the paper."""


def ddim(
    denoiser: Denoiser, x: jax.Array, noise_levels: jax.Array, key: jax.Array | None = None, *, eta: float = 0.0
) -> jax.Array:
    """DDIM (Song et al. 2021, arXiv:2010.02502, eqs. 12 and 16): with eta = 0 no noise, with 1 that of DDPM.

    From s to t < s:  x_t = D + sqrt(t^2 - u^2) (x_s - D) / s + u n,   u^2 = eta^2 t^2 (s^2 - t^2) / s^2.

    Args:
      key: of the noise n; needed where eta is above 0.
    """

    def step(x: jax.Array, i: jax.Array, now: jax.Array, then: jax.Array) -> jax.Array:
        denoised = denoiser(x, now)
        added = eta * then * jnp.sqrt(jnp.maximum(1.0 - jnp.square(then / now), 0.0))
        kept = jnp.sqrt(jnp.maximum(jnp.square(then) - jnp.square(added), 0.0))
        moved = denoised + kept / now * (x - denoised)
        if not eta:
            return moved
        return moved + added * _noise(key, i, x)

    return _over_levels(step, x, noise_levels)


def ancestral(denoiser: Denoiser, x: jax.Array, noise_levels: jax.Array, key: jax.Array) -> jax.Array:
    """DDPM's own steps: noise of the variance of q(x_t | x_s, y) (Ho et al. 2020, arXiv:2006.11239, eq. 7)."""
    return ddim(denoiser, x, noise_levels, key, eta=1.0)


def euler(denoiser: Denoiser, x: jax.Array, noise_levels: jax.Array, key: jax.Array | None = None) -> jax.Array:
    """Euler's method. One step is one of DDIM without noise, which comes to the same thing in another form."""
    del key

    def step(x: jax.Array, i: jax.Array, now: jax.Array, then: jax.Array) -> jax.Array:
        del i
        return x + (then - now) * _slope(denoiser, x, now)

    return _over_levels(step, x, noise_levels)


def heun(denoiser: Denoiser, x: jax.Array, noise_levels: jax.Array, key: jax.Array | None = None) -> jax.Array:
    """Heun's method, of second order, without churn (Karras et al. 2022, Algorithm 1): two denoisings a step.

    A step down to 0 is one of Euler's, with one.
    """
    del key

    def step(x: jax.Array, i: jax.Array, now: jax.Array, then: jax.Array) -> jax.Array:
        del i
        return _heun_step(denoiser, x, now, then)

    return _over_levels(step, x, noise_levels)


def stochastic_heun(
    denoiser: Denoiser,
    x: jax.Array,
    noise_levels: jax.Array,
    key: jax.Array,
    *,
    churn: float = 40.0,
    between: tuple[float, float] = (0.05, 50.0),
    inflation: float = 1.003,
) -> jax.Array:
    """EDM's own sampler (Karras et al. 2022, Algorithm 2): before each step of Heun's, noise lifts x to a higher level.

    From s to s' = (1 + g) s, with g = min(churn / S, sqrt(2) - 1) of the levels within `between` and 0 elsewhere:
    x + sqrt(s'^2 - s^2) `inflation` n. The noise mends what the steps before, and the denoiser, got wrong. The values
    are those of the paper's table 5 for its own model of ImageNet 64x64.

    Args:
      key: of the noise n.
      churn, between, inflation: S_churn, (S_tmin, S_tmax) and S_noise of the paper.
    """
    growth = min(churn / (len(noise_levels) - 1), 2.0**0.5 - 1.0)

    def step(x: jax.Array, i: jax.Array, now: jax.Array, then: jax.Array) -> jax.Array:
        lifted = now * (1.0 + growth * ((now >= between[0]) & (now <= between[1])))
        added = inflation * jnp.sqrt(jnp.maximum(jnp.square(lifted) - jnp.square(now), 0.0))
        return _heun_step(denoiser, x + added * _noise(key, i, x), lifted, then)

    return _over_levels(step, x, noise_levels)


def dpm_solver(denoiser: Denoiser, x: jax.Array, noise_levels: jax.Array, key: jax.Array | None = None) -> jax.Array:
    """DPM-Solver++(2M) (Lu et al. 2022, arXiv:2211.01095, Algorithm 2): second order by one denoising a step.

    With h = log(s / t), the step before having been h', and r = h' / h:

        x_t = t / s x_s + (1 - t / s) D,    D = (1 + 1 / (2 r)) D_s - 1 / (2 r) D of the step before

    The first step, and one down to 0, are of first order: D = D_s.
    """
    del key

    def step(
        carry: tuple[jax.Array, jax.Array, jax.Array], i: jax.Array, now: jax.Array, then: jax.Array
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        x, before, last_size = carry
        denoised = denoiser(x, now)
        ratio = then / now
        size = -jnp.log(jnp.where(then > 0.0, ratio, 1.0))  # h; 0 where the level is
        second = jnp.where((i > 0) & (then > 0.0), 0.5 * size / last_size, 0.0)  # 1 / (2 r)
        direction = denoised + second * (denoised - before)
        return ratio * x + (1.0 - ratio) * direction, denoised, size

    start = x, jnp.zeros_like(x), jnp.ones((), noise_levels.dtype)
    return _over_levels(step, start, noise_levels)[0]


def repainted(
    sampler: Sampler, denoiser: Denoiser, x: jax.Array, noise_levels: jax.Array, key: jax.Array, repeats: int
) -> jax.Array:
    """Each step of `sampler` taken so often, noise lifting x to where it was between (RePaint: Lugmayr et al. 2022,
    arXiv:2201.09865, Algorithm 1, with jumps of one step).

    For a denoiser that knows a part of the image: what is drawn first, of high noise, has hardly seen that part, and
    the repeats bring the two together. Where the rest is correlated with what is known by 0.8, drawings of 50 ancestral
    steps are by 0.46 taken once, by 0.76 taken 10 times. Samplers of several steps become those of one.
    """

    def step(x: jax.Array, i: jax.Array, now: jax.Array, then: jax.Array) -> jax.Array:
        def once(u: jax.Array, x: jax.Array) -> jax.Array:
            step_key, lift_key = jax.random.split(jax.random.fold_in(key, i * repeats + u))
            moved = sampler(denoiser, x, jnp.stack([now, then]), step_key)
            lift = jnp.sqrt(jnp.square(now) - jnp.square(then)) * _noise(lift_key, u, x)
            return jnp.where(u < repeats - 1, moved + lift, moved)

        return jax.lax.fori_loop(0, repeats, once, x)

    return _over_levels(step, x, noise_levels)


SAMPLERS: dict[str, Sampler] = {
    "ancestral": ancestral,
    "ddim": ddim,
    "euler": euler,
    "heun": heun,
    "stochastic_heun": stochastic_heun,
    "dpm_solver": dpm_solver,
}


def check_sampler(name: str, steps: int) -> None:
    """Refuses a sampler there is not, and a number of steps that makes no ladder.

    Raises:
      UserError: either.
    """
    if name not in SAMPLERS:
        raise UserError(f"--sampler {name!r} is not among {', '.join(SAMPLERS)}.")
    if steps < 1:
        raise UserError(f"--sampling-steps must be at least 1, not {steps}.")


def _noise(key: jax.Array, i: jax.Array, x: jax.Array) -> jax.Array:
    """Standard normal, of the shape of x [N, ...], for step i."""
    index = jnp.arange(len(x), dtype=jnp.uint32)
    return example_normal(jax.random.fold_in(key, i), index, x.shape[1:]).astype(x.dtype)


def _heun_step(denoiser: Denoiser, x: jax.Array, now: jax.Array, then: jax.Array) -> jax.Array:
    slope = _slope(denoiser, x, now)
    moved = x + (then - now) * slope

    def corrected() -> jax.Array:
        return x + (then - now) * 0.5 * (slope + _slope(denoiser, moved, then))

    return jax.lax.cond(then > 0.0, corrected, lambda: moved)


def _slope(denoiser: Denoiser, x: jax.Array, noise_level: jax.Array) -> jax.Array:
    return (x - denoiser(x, noise_level)) / noise_level


def _over_levels(step: Callable[..., Any], start: Any, noise_levels: jax.Array) -> Any:
    """`step(carry, i, from level, to level)` from each level to the next."""
    noise_levels = jnp.asarray(noise_levels)
    steps = jnp.arange(len(noise_levels) - 1), noise_levels[:-1], noise_levels[1:]
    return jax.lax.scan(lambda carry, at: (step(carry, *at), None), start, steps)[0]
