"""What a sequence network's outputs are the parameters of: the distribution of the next token, in three forms."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgen.data import mu_law
from jaxgen.models.autoregressive.decoding import Choice, choose
from jaxgen.models.likelihoods import logistic_log_mass, logistic_log_mass_between


class OutputDistribution(NamedTuple):
    """The distribution of a token given its parameters [..., P]."""

    num_parameters: int | None
    """P; None: as many as there are tokens."""
    log_prob: Callable[[jax.Array, jax.Array], jax.Array]
    """(parameters [..., P], tokens int [...]) -> log p [...] in nats."""
    likeliest: Callable[[jax.Array], jax.Array]
    """parameters [..., P] -> tokens [...]."""
    draw: Callable[[jax.Array, jax.Array, Choice], jax.Array]
    """(parameters [B, P], keys [B], choice) -> tokens int [B]."""


def softmax() -> OutputDistribution:
    """The parameters are logits, one for each token."""

    def log_prob(logits: jax.Array, tokens: jax.Array) -> jax.Array:
        return -optax.softmax_cross_entropy_with_integer_labels(logits, tokens)

    return OutputDistribution(None, log_prob, lambda logits: jnp.argmax(logits, axis=-1), choose)


def mixture_of_logistics(components: int = 10, levels: int = 256, *, min_log_scale: float = -7.0) -> OutputDistribution:
    """Tokens as even levels of [-1, 1], each with the mass around it of M logistics:

        P(x) = sum_i pi_i (sigmoid((x + h - m_i) / s_i) - sigmoid((x - h - m_i) / s_i)),      h = 1 / (levels - 1)

    where the outermost levels get all that lies beyond them (Salimans et al. 2017, arXiv:1701.05517, eq. 2; for sound:
    van den Oord et al. 2017, arXiv:1711.10433, section 3). The levels of mu-law codes are even in the companded
    amplitude. Parameters: M logits of pi, of which m_i is an offset from M even places of [-1, 1], and log s_i.

    `likeliest` is the level nearest to the mean of the component with the largest weight over scale, which is the mode
    where components lie apart; drawing knows all levels' masses, so that a `Choice` means the same as for logits.

    Args:
      min_log_scale: log s is cut off here: below, one level has all the mass.
    """
    half = 1.0 / (levels - 1)
    places = jnp.linspace(-1.0, 1.0, 2 * components + 1)[1::2]  # so that components differ from the beginning

    def placed(offsets: jax.Array, log_scales: jax.Array) -> tuple[jax.Array, jax.Array]:
        log_scales = jnp.maximum(log_scales - jnp.log(components), min_log_scale)
        return offsets + places.astype(offsets.dtype), log_scales

    def log_masses(tokens: jax.Array, means: jax.Array, log_scales: jax.Array) -> jax.Array:
        values = (2.0 * half * tokens - 1.0).astype(means.dtype)
        return logistic_log_mass(values, means, log_scales, half)

    def level_of(mean: jax.Array) -> jax.Array:
        return jnp.clip(jnp.round((mean + 1.0) / (2.0 * half)), 0, levels - 1)

    return _mixture(components, levels, placed, log_masses, level_of)


def mixture_in_amplitudes(components: int = 4, levels: int = 256, *, uniform: float = 1e-5) -> OutputDistribution:
    """Tokens as mu-law codes, each with the mass of M logistics between the amplitudes in the middle to its neighbors:

        P(k) = (1 - u) sum_i w_i (sigmoid((e_{k+1} - m_i) / s_i) - sigmoid((e_k - m_i) / s_i)) + u / levels

    where the outermost levels get all that lies beyond them. Parameters: M logits of w, M means m and M log s, in
    amplitudes. Unlike levels, amplitudes mean the same at any loudness: `networks.wavenet` with a predictor.

    `likeliest` is the code of the mean of the component with the largest weight over scale, which is the mode where
    components lie apart and are no wider than levels; drawing knows all levels' masses.

    Args:
      uniform: u, the share of the uniform distribution, which bounds what a surprise costs.
    """
    edges = mu_law.amplitudes_of(np.arange(levels + 1) - 0.5, levels=levels)

    def placed(means: jax.Array, log_scales: jax.Array) -> tuple[jax.Array, jax.Array]:
        return means, jnp.clip(log_scales, -12.0, 2.0)

    def log_masses(tokens: jax.Array, means: jax.Array, log_scales: jax.Array) -> jax.Array:
        lower, upper = (jnp.asarray(edges, means.dtype)[tokens + side] for side in (0, 1))
        ends = tokens == 0, tokens == levels - 1
        return logistic_log_mass_between(lower, upper, upper - lower, *ends, means, log_scales)

    def level_of(mean: jax.Array) -> jax.Array:
        return mu_law.codes_of(jnp.clip(mean, -1.0, 1.0), jnp, levels)

    return _mixture(components, levels, placed, log_masses, level_of, uniform)


def _mixture(
    components: int,
    levels: int,
    placed: Callable[[jax.Array, jax.Array], tuple[jax.Array, jax.Array]],
    log_masses: Callable[[jax.Array, jax.Array, jax.Array], jax.Array],
    level_of: Callable[[jax.Array], jax.Array],
    uniform: float = 0.0,
) -> OutputDistribution:
    """Of components whose masses at tokens [..., 1] are `log_masses(tokens, means, log_scales)`, with
    `placed(the second, the last third of the parameters) -> (means, log_scales)`; the first are their logits."""

    def split(parameters: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        logits, *others = jnp.split(parameters, 3, axis=-1)
        return jax.nn.log_softmax(logits), *placed(*others)

    def log_prob(parameters: jax.Array, tokens: jax.Array) -> jax.Array:
        log_weights, means, log_scales = split(parameters)
        mixed = jax.nn.logsumexp(log_weights + log_masses(tokens[..., None], means, log_scales), axis=-1)
        return jnp.logaddexp(mixed + np.log1p(-uniform), np.log(uniform / levels)) if uniform else mixed

    def likeliest(parameters: jax.Array) -> jax.Array:
        log_weights, means, log_scales = split(parameters)
        first = jnp.argmax(log_weights - log_scales, axis=-1, keepdims=True)
        return level_of(jnp.take_along_axis(means, first, axis=-1)[..., 0]).astype(jnp.int32)

    def draw(parameters: jax.Array, keys: jax.Array, choice: Choice) -> jax.Array:
        return choose(log_prob(parameters[:, None], jnp.arange(levels)), keys, choice)

    return OutputDistribution(3 * components, log_prob, likeliest, draw)
