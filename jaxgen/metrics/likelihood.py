"""Likelihoods from log-probabilities: bounds, closed-form divergences, and the units in which they are reported.

Everything is in nats unless its name says bits. No function knows a model: an importance weight is
log w = log p(x, z) - log q(z | x) for a latent z drawn from the proposal q(z | x).
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxgen.core.errors import UserError
from jaxgen.core.keys import example_keys
from jaxgen.core.per_example import row_sums
from jaxgen.core.types import Tree

Numbers = jax.Array | float
"""A number, or an array of numbers."""


# ---------------------------------------------------------------- bounds


def elbo(log_weights: jax.Array) -> jax.Array:
    """Estimate the evidence lower bound by the mean of log-weights, [K, B] to [B] (Kingma & Welling 2014, eq. 2).

    Its expectation is log p(x) - KL(q(z | x) || p(z | x)), for any K.

    Raises:
      UserError: K is 0.
    """
    _check_draws(len(log_weights))
    return jnp.mean(log_weights, 0)


@jax.jit
def importance_weighted_bound(log_weights: jax.Array) -> jax.Array:
    """Return the bound of the importance-weighted autoencoder, log-weights [K, B] to [B] (Burda et al. 2016, eq. 8).

        L_K = log(1/K sum_k w_k)

    Its expectation is the ELBO for K = 1, never falls as K grows, and tends to log p(x).

    Raises:
      UserError: K is 0.
    """
    _check_draws(len(log_weights))
    return jax.nn.logsumexp(log_weights, 0) - math.log(log_weights.shape[0])


def importance_weighted_log_likelihood(
    sample_log_weights: Callable[[jax.Array, Tree], jax.Array], key: jax.Array, x: Tree, num_samples: int
) -> jax.Array:
    """Return `importance_weighted_bound` of `num_samples` draws, one at a time, so that memory does not grow with K.

    K = 5000 is what the literature reports as log p(x) (Burda et al. 2016, section 5). For several batches compile it,
    with `jax.jit(lambda key, x: importance_weighted_log_likelihood(..., key, x, 5000))`.

    Args:
      sample_log_weights: function from (key, x) to log-weights [B] of one latent per example, log p(x, z) - log q(z |
        x).
      key: key; draw k uses `fold_in(key, k)`.
      x: a batch, in the form that `sample_log_weights` takes.

    Returns:
      [B], nats.

    Raises:
      UserError: `num_samples` is below 1.
    """
    _check_draws(num_samples)

    def add(k: jax.Array, sums: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        # Not a running log-sum: next to a total of -10,000 nats, float32 cannot hold what the thousandth draw adds.
        largest, total = sums  # [B] and [B]: the weights' sum is total * exp(largest)
        log_weights = sample_log_weights(jax.random.fold_in(key, k), x)
        new = jnp.maximum(largest, log_weights)
        base = jnp.where(jnp.isneginf(new), 0.0, new)  # no weight above zero yet, and -inf - -inf is no number
        return new, total * jnp.exp(largest - base) + jnp.exp(log_weights - base)

    shape = jax.eval_shape(sample_log_weights, key, x)
    start = jnp.full(shape.shape, -jnp.inf, shape.dtype), jnp.zeros(shape.shape, shape.dtype)
    largest, total = jax.lax.fori_loop(0, num_samples, add, start)
    return largest + jnp.log(total) - math.log(num_samples)


def _check_draws(num_samples: int) -> None:
    if num_samples < 1:
        raise UserError(f"An importance-weighted bound needs at least 1 sample, not {num_samples}.")


# ---------------------------------------------------------------- divergences


@jax.jit
def kl_to_standard_normal(mean: jax.Array, log_variance: jax.Array) -> jax.Array:
    """Return KL(N(m, diag v) || N(0, I)), [B, ...] to [B] (Kingma & Welling 2014, appendix B).

    1/2 sum_j (v_j + m_j^2 - 1 - log v_j)
    """
    return kl_between_gaussians(mean, log_variance, jnp.zeros_like(mean), jnp.zeros_like(log_variance))


@jax.jit
def kl_between_gaussians(
    mean: jax.Array, log_variance: jax.Array, other_mean: jax.Array, other_log_variance: jax.Array
) -> jax.Array:
    """Return KL(N(m, diag v) || N(m', diag v')), each [B, ...], as [B].

    1/2 sum_j (v_j / v'_j + (m_j - m'_j)^2 / v'_j - 1 - log(v_j / v'_j))

    Integers are converted to float32.
    """
    mean, log_variance, other_mean, other_log_variance = (
        x if jnp.issubdtype(x.dtype, jnp.inexact) else x.astype(jnp.float32)
        for x in (mean, log_variance, other_mean, other_log_variance)
    )
    log_ratio = log_variance - other_log_variance
    shifts = (mean - other_mean) ** 2 * jnp.exp(-other_log_variance)
    terms = 0.5 * (jnp.expm1(log_ratio) - log_ratio + shifts)  # expm1: exact near 0, where e^a - 1 - a cancels
    return row_sums(terms)


# ---------------------------------------------------------------- units

LEVELS = 256
BIN_WIDTH = 2.0 / LEVELS
"""Width of the bin of each of 256 levels in [-1, 1] after `dequantize`."""


@jax.jit
def dequantize(key: jax.Array, index: jax.Array, images: jax.Array) -> jax.Array:
    """Dequantize bytes by uniform noise: y = (x + u) / 128 - 1 in [-1, 1), with u uniform in [0, 1).

    Each level then fills a bin of width `BIN_WIDTH` = 2/256, and a density of y averaged over u is a lower bound of the
    probability of x (Theis et al. 2016, arXiv:1511.01844, section 3.1; Uria et al. 2013). This differs from the scaling
    x / 127.5 - 1 of a `Dataset`, where the 256 levels are points 2/255 apart: a density model whose bits per dimension
    are reported must be trained and evaluated on the outputs of this function.

    Args:
      key: a step's key.
      index: [B], the examples' numbers: each example's noise is the same wherever it is computed.
      images: uint8 [B, ...].

    Returns:
      float32 [B, ...].

    Raises:
      UserError: `images` are not uint8, or there is not one number for each image.
    """
    if index.shape != images.shape[:1]:
        raise UserError(f"{list(index.shape)} numbers of examples do not go with {len(images)} images: give one each.")
    if images.dtype != jnp.uint8:
        raise UserError(f"Only uint8 images can be dequantized, not {images.dtype}: give them as they were stored.")
    # With 16 random bits x + u is exact in float32 and never rounds up into the next level.
    bits = jax.vmap(lambda k: jax.random.bits(k, images.shape[1:], jnp.uint16))(example_keys(key, index))
    return (images.astype(jnp.float32) + bits.astype(jnp.float32) / 2.0**16) * BIN_WIDTH - 1.0


def bits_per_dimension(nats: jax.Array, dimensions: int, *, bin_width: float) -> jax.Array:
    """Convert negative log-densities [B] in nats to bits per dimension [B] of the data before they were scaled.

        (nats / D - log(bin_width)) / log 2

    since a density p(y) of scaled values assigns to a bin the probability p(y) bin_width per dimension (Theis et al.
    2016, section 3.1).

    Args:
      nats: -log p(y), a density over D values (or the negative of a bound); for a model of the levels themselves,
        -log P(x).
      dimensions: D, which is H * W * C for an image.
      bin_width: width of one level in the values of the density: `BIN_WIDTH` after `dequantize`, 1 for values 0..256
        and for a model of the levels themselves.

    Raises:
      UserError: there are no dimensions, or the width is not above 0.
    """
    if dimensions < 1 or not bin_width > 0.0:
        raise UserError(f"Give at least 1 dimension and a bin width above 0, not {dimensions} and {bin_width}.")
    return (nats / dimensions - math.log(bin_width)) / math.log(2.0)


def bits_per_character(total_nats: Numbers, characters: Numbers) -> Numbers:
    """Return -log P of a text in nats, divided by its number of characters, in bits; of any shape.

    Count characters, not tokens, to compare models of different vocabularies.
    """
    return total_nats / characters / math.log(2.0)


def perplexity(total_nats: Numbers, tokens: Numbers) -> jax.Array:
    """Return the perplexity exp(-1/N log P) of N tokens whose -log P is `total_nats`; of any shape.

    Uniform guesses among V tokens have perplexity V. Sum nats and tokens over all batches first: a mean of perplexities
    is not a perplexity.
    """
    return jnp.exp(total_nats / tokens)
