"""Noise levels of diffusion: which ones a model is trained on, and which ones a sampler goes through.

Everything is said of x = y + sigma n: an image y in [-1, 1] under noise n of standard deviation sigma, the noise level
(Karras et al. 2022, arXiv:2206.00364). The other formulations scale x and name sigma otherwise:

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

    quantile: Callable[[jax.Array], jax.Array]
    """u in [0, 1) -> sigma: training draws quantile(U) with U uniform."""
    ladder: Callable[[int], np.ndarray]
    """N -> float32 [N + 1], falling: the levels of N steps of a sampler, the last one 0."""


def lognormal(
    mean: float = -1.2,
    deviation: float = 1.2,
    *,
    smallest: float = 0.002,
    largest: float = 80.0,
    exponent: float = 7.0,
) -> NoiseLevels:
    """EDM (Karras et al. 2022, table 1): log sigma is normal, and the ladder is even in sigma^(1 / exponent).

    sigma_i = (largest^(1/7) + i / (N - 1) (smallest^(1/7) - largest^(1/7)))^7,    i = 0, ..., N - 1    (eq. 5)
    """

    def quantile(u: jax.Array) -> jax.Array:
        return jnp.exp(mean + deviation * jax.scipy.special.ndtri(jnp.clip(u, 1e-6, 1.0 - 1e-6)))

    def ladder(steps: int) -> np.ndarray:
        ends = largest ** (1.0 / exponent), smallest ** (1.0 / exponent)
        return _down_to_0(np.linspace(*ends, steps) ** exponent)

    return NoiseLevels(quantile, ladder)


def linear_betas(steps: int = 1_000, first: float = 1e-4, last: float = 0.02) -> NoiseLevels:
    """DDPM (Ho et al. 2020, arXiv:2006.11239, section 4): beta_t is even in t, alpha-bar_t the product of 1 - beta_s.

    Training takes each of the `steps` levels as often; a ladder of fewer takes every so many of them.
    """
    return _discrete(np.linspace(first, last, steps, dtype=np.float64))


def cosine_betas(steps: int = 1_000, offset: float = 0.008, largest: float = 0.999) -> NoiseLevels:
    """Improved DDPM (Nichol and Dhariwal 2021, arXiv:2102.09672, eq. 17), otherwise as `linear_betas`.

    alpha-bar_t = f(t) / f(0) with f(t) = cos^2((t / T + s) / (1 + s) pi / 2), and no beta above `largest`.
    """
    times = np.arange(steps + 1) / steps
    alpha_bars = np.cos((times + offset) / (1.0 + offset) * np.pi / 2.0) ** 2
    return _discrete(np.minimum(1.0 - alpha_bars[1:] / alpha_bars[:-1], largest))


def flow_times(*, logit_normal: bool = False, last: float = 0.999) -> NoiseLevels:
    """Flow matching on straight lines (Lipman et al. 2023, arXiv:2210.02747; Liu et al. 2023, arXiv:2209.03003).

    t is uniform in [0, last), or sigmoid(N(0, 1)) (Esser et al. 2024, arXiv:2403.03206, section 3.1); the ladder is
    even in t. At t = 1 there would be nothing but noise, and sigma infinite.
    """

    def quantile(u: jax.Array) -> jax.Array:
        u = jnp.clip(u, 1e-6, 1.0 - 1e-6)
        t = jax.nn.sigmoid(jax.scipy.special.ndtri(u)) if logit_normal else last * u
        return t / (1.0 - t)

    def ladder(steps: int) -> np.ndarray:
        t = last * (1.0 - np.arange(steps) / steps)
        return _down_to_0(t / (1.0 - t))

    return NoiseLevels(quantile, ladder)


def evenly_drawn(key: jax.Array, index: jax.Array) -> jax.Array:
    """Numbers [B] in [0, 1) of the examples numbered `index` [B], spread more evenly than by chance.

    u_i = frac(U + i g), g the golden ratio: each one is uniform, and any run of them is nearly equidistant, so that the
    loss of a batch varies less (as in Kingma et al. 2021, arXiv:2107.00630, appendix I.1, for any batch and device).
    All parts of a batch are to be given one key: U is the batch's.
    """
    return jnp.mod(jax.random.uniform(key) + GOLDEN_RATIO * index.astype(jnp.float32), 1.0)


def _discrete(betas: np.ndarray) -> NoiseLevels:
    """Levels of the steps t = 0, ..., T - 1 with these betas [T]."""
    alpha_bars = np.cumprod(1.0 - betas)
    levels = np.sqrt((1.0 - alpha_bars) / alpha_bars)

    def quantile(u: jax.Array) -> jax.Array:
        table = jnp.asarray(levels, jnp.float32)
        return table[jnp.clip((u * len(levels)).astype(jnp.int32), 0, len(levels) - 1)]

    def ladder(steps: int) -> np.ndarray:
        if steps > len(levels):
            raise UserError(f"There are {len(levels):,} noise levels: take no more --sampling-steps than that.")
        return _down_to_0(levels[np.round(np.linspace(len(levels) - 1, 0, steps)).astype(int)])

    return NoiseLevels(quantile, ladder)


def _down_to_0(levels: np.ndarray) -> np.ndarray:
    return np.append(levels, 0.0).astype(np.float32)
