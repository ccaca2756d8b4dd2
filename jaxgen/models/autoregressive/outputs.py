"""Distributions of the next token, in three forms; their parameters are a sequence network's outputs."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgen.data import mu_law
from jaxgen.models.autoregressive.decoding import SamplingParams, choose
from jaxgen.models.likelihoods import logistic_log_mass, logistic_log_mass_between


class OutputDistribution(NamedTuple):
    """The distribution of a token given its parameters [..., P]."""

    num_parameters: int | None
    """P; None: one for each token."""
    log_prob: Callable[[jax.Array, jax.Array], jax.Array]
    """(parameters [..., P], tokens int [...]) -> log p [...] in nats."""
    likeliest: Callable[[jax.Array], jax.Array]
    """parameters [..., P] -> tokens [...]."""
    draw: Callable[[jax.Array, jax.Array, SamplingParams], jax.Array]
    """(parameters [B, P], keys [B], sampling params) -> tokens int [B]."""


def softmax() -> OutputDistribution:
    """Return the distribution whose parameters are logits, one for each token."""

    def log_prob(logits: jax.Array, tokens: jax.Array) -> jax.Array:
        return -optax.softmax_cross_entropy_with_integer_labels(logits, tokens)

    return OutputDistribution(None, log_prob, lambda logits: jnp.argmax(logits, axis=-1), choose)


def mixture_of_logistics(components: int = 10, levels: int = 256, *, min_log_scale: float = -7.0) -> OutputDistribution:
    """Return the distribution of tokens that are even levels of [-1, 1], each with the mass of M logistics around it:

        P(x) = sum_i pi_i (sigmoid((x + h - m_i) / s_i) - sigmoid((x - h - m_i) / s_i)),      h = 1 / (levels - 1)

    where the outermost levels get all that lies beyond them (Salimans et al. 2017, arXiv:1701.05517, eq. 2; for sound:
    van den Oord et al. 2017, arXiv:1711.10433, section 3). The levels of mu-law codes are even in the companded
    amplitude. Parameters: M logits of pi, of which m_i is an offset from M even places of [-1, 1], and log s_i.

    `likeliest` is the level nearest to the mean of the component with the largest weight over scale, which is the mode
    where components lie apart; `draw` knows all levels' masses, so that `SamplingParams` mean the same as for logits.

    Args:
      min_log_scale: lower bound of log s; below it, one level has all the mass.
    """
    return _InLevels(components, levels, min_log_scale=min_log_scale).distribution()


def mixture_in_amplitudes(components: int = 4, levels: int = 256, *, uniform: float = 1e-5) -> OutputDistribution:
    """Return the distribution of tokens that are mu-law codes, each with the mass of M logistics between the amplitudes
    halfway to its neighbors:

        P(k) = (1 - u) sum_i w_i (sigmoid((e_{k+1} - m_i) / s_i) - sigmoid((e_k - m_i) / s_i)) + u / levels

    where the outermost levels get all that lies beyond them. Parameters: M logits of w, M means m and M log s, in
    amplitudes. Unlike levels, amplitudes mean the same at any loudness (see `networks.wavenet` with a predictor).

    `likeliest` is the code of the mean of the component with the largest weight over scale, which is the mode where
    components lie apart and are no wider than levels; `draw` knows all levels' masses.

    Args:
      uniform: u, the share of the uniform distribution, which bounds the cost of a surprise.
    """
    return _InAmplitudes(components, levels, uniform).distribution()


@dataclass(frozen=True)
class _Mixture(ABC):
    """M components over tokens with three parameters each: the logit of a weight, and two parameters of its place."""

    components: int
    """M."""
    levels: int
    """Number of tokens."""
    uniform: float = 0.0
    """The share of the uniform distribution."""

    @abstractmethod
    def place(self, means: jax.Array, log_scales: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return means and log scales, given the second and the last third of the parameters."""

    @abstractmethod
    def log_masses(self, tokens: jax.Array, means: jax.Array, log_scales: jax.Array) -> jax.Array:
        """Return the components' log masses [..., M] at tokens [..., 1]."""

    @abstractmethod
    def level_of(self, mean: jax.Array) -> jax.Array:
        """Return the token at a component's mean."""

    def distribution(self) -> OutputDistribution:
        return OutputDistribution(3 * self.components, self.log_prob, self.likeliest, self.draw)

    def split(self, parameters: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Return the components' log weights, means and log scales."""
        logits, *others = jnp.split(parameters, 3, axis=-1)
        return jax.nn.log_softmax(logits), *self.place(*others)

    def log_prob(self, parameters: jax.Array, tokens: jax.Array) -> jax.Array:
        log_weights, means, log_scales = self.split(parameters)
        mixed = jax.nn.logsumexp(log_weights + self.log_masses(tokens[..., None], means, log_scales), axis=-1)
        if not self.uniform:
            return mixed
        return jnp.logaddexp(mixed + np.log1p(-self.uniform), np.log(self.uniform / self.levels))

    def likeliest(self, parameters: jax.Array) -> jax.Array:
        log_weights, means, log_scales = self.split(parameters)
        first = jnp.argmax(log_weights - log_scales, axis=-1, keepdims=True)
        return self.level_of(jnp.take_along_axis(means, first, axis=-1)[..., 0]).astype(jnp.int32)

    def draw(self, parameters: jax.Array, keys: jax.Array, params: SamplingParams) -> jax.Array:
        return choose(self.log_prob(parameters[:, None], jnp.arange(self.levels)), keys, params)


@dataclass(frozen=True)
class _InLevels(_Mixture):
    """A mixture of logistics over even levels of [-1, 1]."""

    min_log_scale: float = -7.0

    @property
    def half(self) -> float:
        """Half the distance between two levels."""
        return 1.0 / (self.levels - 1)

    def place(self, means: jax.Array, log_scales: jax.Array) -> tuple[jax.Array, jax.Array]:
        with jax.ensure_compile_time_eval():
            places = jnp.linspace(-1.0, 1.0, 2 * self.components + 1)[1::2]  # components differ from the beginning
        log_scales = jnp.maximum(log_scales - jnp.log(self.components), self.min_log_scale)
        return means + places.astype(means.dtype), log_scales

    def log_masses(self, tokens: jax.Array, means: jax.Array, log_scales: jax.Array) -> jax.Array:
        values = (2.0 * self.half * tokens - 1.0).astype(means.dtype)
        return logistic_log_mass(values, means, log_scales, self.half)

    def level_of(self, mean: jax.Array) -> jax.Array:
        return jnp.clip(jnp.round((mean + 1.0) / (2.0 * self.half)), 0, self.levels - 1)


@dataclass(frozen=True)
class _InAmplitudes(_Mixture):
    """A mixture of logistics over the amplitudes of mu-law codes."""

    def place(self, means: jax.Array, log_scales: jax.Array) -> tuple[jax.Array, jax.Array]:
        return means, jnp.clip(log_scales, -12.0, 2.0)

    def log_masses(self, tokens: jax.Array, means: jax.Array, log_scales: jax.Array) -> jax.Array:
        edges = mu_law.amplitudes_of(np.arange(self.levels + 1) - 0.5, levels=self.levels)
        lower, upper = (jnp.asarray(edges, means.dtype)[tokens + side] for side in (0, 1))
        ends = tokens == 0, tokens == self.levels - 1
        return logistic_log_mass_between(lower, upper, upper - lower, *ends, means, log_scales)

    def level_of(self, mean: jax.Array) -> jax.Array:
        return mu_law.codes_of(jnp.clip(mean, -1.0, 1.0), jnp, self.levels)
