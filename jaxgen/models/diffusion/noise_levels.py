"""Noise levels of diffusion: those a model is trained on, and those a sampler steps through.

All levels are those of x = y + sigma n: an image y in [-1, 1] under noise n of standard deviation sigma, the noise
level (Karras et al. 2022, arXiv:2206.00364). Other formulations scale x and have another name for sigma:

    DDPM:           sqrt(a) y + sqrt(1 - a) n = sqrt(a) x,    sigma^2 = (1 - a) / a,   a being alpha-bar of a step t
    flow matching:  (1 - t) y + t n           = (1 - t) x,    sigma = t / (1 - t)
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.core.errors import UserError

GOLDEN_RATIO = 0.6180339887498949


class NoiseLevels(NamedTuple):
    """The noise levels of one formulation."""

    icdf: Callable[[jax.Array], jax.Array]
    """u in [0, 1) -> sigma, the inverse distribution function: training draws icdf(U) with U uniform."""
    sigmas: Callable[[int], np.ndarray]
    """N -> float32 [N + 1], falling: the levels of N steps of a sampler, the last one 0."""


def lognormal(
    P_mean: float = -1.2,
    P_std: float = 1.2,
    *,
    sigma_min: float = 0.002,
    sigma_max: float = 80.0,
    rho: float = 7.0,
) -> NoiseLevels:
    """Return EDM's noise levels (table 1): log sigma is normal in training, samplers' are even in sigma^(1/rho).

    sigma_i = (sigma_max^(1/rho) + i / (N - 1) (sigma_min^(1/rho) - sigma_max^(1/rho)))^rho, i = 0, ..., N - 1   (eq. 5)
    """

    def icdf(u: jax.Array) -> jax.Array:
        return jnp.exp(P_mean + P_std * jax.scipy.special.ndtri(jnp.clip(u, 1e-6, 1.0 - 1e-6)))

    def sigmas(steps: int) -> np.ndarray:
        ends = sigma_max ** (1.0 / rho), sigma_min ** (1.0 / rho)
        return _down_to_0(np.linspace(*ends, steps) ** rho)

    return NoiseLevels(icdf, sigmas)


def linear_betas(steps: int = 1_000, beta_start: float = 1e-4, beta_end: float = 0.02) -> NoiseLevels:
    """Return DDPM's noise levels (Ho et al. 2020, arXiv:2006.11239, section 4).

    beta_t is even in t, and alpha-bar_t is the product of 1 - beta_s for s up to t. Training takes each of the `steps`
    levels equally often; a sampler of fewer steps skips levels evenly.
    """
    return _discrete(np.linspace(beta_start, beta_end, steps, dtype=np.float64))


def cosine_betas(steps: int = 1_000, s: float = 0.008, max_beta: float = 0.999) -> NoiseLevels:
    """Return the noise levels of improved DDPM (Nichol and Dhariwal 2021, arXiv:2102.09672, eq. 17).

    alpha-bar_t = f(t) / f(0) with f(t) = cos^2((t / T + s) / (1 + s) pi / 2), and no beta above `max_beta`. Training
    and samplers use the levels as with `linear_betas`.
    """
    times = np.arange(steps + 1) / steps
    alpha_bars = np.cos((times + s) / (1.0 + s) * np.pi / 2.0) ** 2
    return _discrete(np.minimum(1.0 - alpha_bars[1:] / alpha_bars[:-1], max_beta))


def flow_times(*, logit_normal: bool = False, last: float = 0.999) -> NoiseLevels:
    """Return the noise levels of flow matching on straight lines.

    Lipman et al. 2023, arXiv:2210.02747; Liu et al. 2023, arXiv:2209.03003.

    t is uniform in [0, last), or sigmoid(N(0, 1)) (Esser et al. 2024, arXiv:2403.03206, section 3.1); samplers' levels
    are even in t. At t = 1 there would be nothing but noise, and sigma infinite.
    """

    def icdf(u: jax.Array) -> jax.Array:
        u = jnp.clip(u, 1e-6, 1.0 - 1e-6)
        t = jax.nn.sigmoid(jax.scipy.special.ndtri(u)) if logit_normal else last * u
        return t / (1.0 - t)

    def sigmas(steps: int) -> np.ndarray:
        t = last * (1.0 - np.arange(steps) / steps)
        return _down_to_0(t / (1.0 - t))

    return NoiseLevels(icdf, sigmas)


def low_discrepancy_uniform(key: jax.Array, index: jax.Array) -> jax.Array:
    """Draw numbers [B] in [0, 1) for the examples numbered `index` [B], spread more evenly than independent ones.

    u_i = frac(U + i g), g the golden ratio: each one is uniform, and any run of them is nearly equidistant, so that the
    loss of a batch varies less (as in Kingma et al. 2021, arXiv:2107.00630, appendix I.1, for any batch and device).
    All parts of a batch must be given the same key, since U belongs to the batch.
    """
    return jnp.mod(jax.random.uniform(key) + GOLDEN_RATIO * index.astype(jnp.float32), 1.0)


def _discrete(betas: np.ndarray) -> NoiseLevels:
    """Return the levels of the steps t = 0, ..., T - 1 with these betas [T]."""
    alpha_bars = np.cumprod(1.0 - betas)
    levels = np.sqrt((1.0 - alpha_bars) / alpha_bars)

    def icdf(u: jax.Array) -> jax.Array:
        table = jnp.asarray(levels, jnp.float32)
        return table[jnp.clip((u * len(levels)).astype(jnp.int32), 0, len(levels) - 1)]

    def sigmas(steps: int) -> np.ndarray:
        if steps > len(levels):
            raise UserError(f"There are {len(levels):,} noise levels: take no more --sampling-steps than that.")
        return _down_to_0(levels[np.round(np.linspace(len(levels) - 1, 0, steps)).astype(int)])

    return NoiseLevels(icdf, sigmas)


def _down_to_0(levels: np.ndarray) -> np.ndarray:
    return np.append(levels, 0.0).astype(np.float32)
