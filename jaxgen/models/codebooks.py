"""A code book: vectors that stand for those nearest to them (VQ-VAE, van den Oord et al. 2017, arXiv:1711.00937)."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxgen.core.keys import example_keys
from jaxgen.core.reductions import gather_over_devices, sum_over_devices
from jaxgen.core.state import Batch, Key, TrainState
from jaxgen.models.conditional_samples import samples_by_class
from jaxgen.models.likelihoods import Likelihood

SMOOTHING = 1e-5
"""Of the counts (Laplace), so that a code that is never used is not divided by zero."""


def initial_codes(key: Key, num_codes: int, code_size: int) -> jax.Array:
    """[K, D], uniform in [-1/K, 1/K]: near to each other, so that no code is out of reach of the first vectors."""
    return jax.random.uniform(key, (num_codes, code_size), jnp.float32, -1.0 / num_codes, 1.0 / num_codes)


def nearest_codes(vectors: jax.Array, codes: jax.Array) -> jax.Array:
    """The number of the nearest of the codes [K, D] to each of the vectors [..., D]: int32 [...]. Eq. 1."""
    center = jnp.mean(codes, 0)  # without it, the digits of |e|^2 would go into where the code book lies
    codes = codes - center
    dots = jnp.matmul(vectors - center, codes.T, precision=jax.lax.Precision.HIGHEST)
    # |z|^2 is left out: it is the same for all codes.
    distances = jnp.sum(jnp.square(codes), -1) - 2.0 * dots
    # `jnp.argmin`, but as two reductions, each of which XLA compiles to vector code on a CPU
    nearest = distances == jnp.min(distances, -1, keepdims=True)
    numbers = jnp.arange(len(codes), dtype=jnp.int32)
    return jnp.min(jnp.where(nearest, numbers, len(codes) - 1), -1)


def straight_through(vectors: jax.Array, quantized: jax.Array) -> jax.Array:
    """`quantized`, whose gradient goes to `vectors` unchanged (section 3.2)."""
    return vectors + jax.lax.stop_gradient(quantized - vectors)


def moved_counts(counts: jax.Array, numbers: jax.Array, decay: float) -> jax.Array:
    """N_i <- gamma N_i + (1 - gamma) n_i, n_i how often code i [K] is among the numbers [N] of all devices. Eq. 6."""
    uses = jax.nn.one_hot(numbers, len(counts), dtype=counts.dtype)  # [N, K]
    return decay * counts + (1.0 - decay) * sum_over_devices(jnp.sum(uses, 0))


def moved_codebook(
    codebook: dict[str, jax.Array],
    vectors: jax.Array,
    numbers: jax.Array,
    key: Key,
    *,
    decay: float,
    revive_below: float,
) -> dict[str, jax.Array]:
    """The code book after a batch of vectors [N, D] with nearest codes [N], as running means (appendix A.1, eqs. 6-8).

        N_i <- gamma N_i + (1 - gamma) n_i,   m_i <- gamma m_i + (1 - gamma) sum_j z_ij,   e_i = m_i / N_i

    with `counts` N [K], `sums` m [K, D] and `codes` e [K, D], over the vectors of all devices; N in e_i is smoothed,
    (N_i + eps) / (sum N + K eps) sum N.

    A code with N_i < `revive_below` is dead: it becomes a vector of the global batch chosen by `key`, with N_i =
    `revive_below` (random restarts: Dhariwal et al. 2020, arXiv:2005.00341). 0: none is revived.
    """
    uses = jax.nn.one_hot(numbers, len(codebook["counts"]), dtype=vectors.dtype)  # [N, K]
    batch_sums = sum_over_devices(jnp.matmul(uses.T, vectors, precision=jax.lax.Precision.HIGHEST))  # [K, D]
    counts = moved_counts(codebook["counts"], numbers, decay)
    sums = decay * codebook["sums"] + (1.0 - decay) * batch_sums
    if revive_below:
        everywhere = gather_over_devices(vectors)  # [N of all devices, D]
        chosen = everywhere[jax.random.randint(key, (len(counts),), 0, len(everywhere))]
        dead = counts < revive_below
        sums = jnp.where(dead[:, None], revive_below * chosen, sums)
        counts = jnp.where(dead, revive_below, counts)
    total = jnp.sum(counts)
    smoothed = (counts + SMOOTHING) / (total + len(counts) * SMOOTHING) * total
    return {"codes": sums / smoothed[:, None], "counts": counts, "sums": sums}


def usage(counts: jax.Array) -> jax.Array:
    """[K], the share of each code, none of them 0."""
    return (counts + SMOOTHING) / jnp.sum(counts + SMOOTHING)


def perplexity(counts: jax.Array) -> jax.Array:
    """exp(-sum_i p_i log p_i) of the codes' shares p [K]: [], how many codes are in use."""
    shares = usage(counts)
    return jnp.exp(-jnp.sum(shares * jnp.log(shares)))


def use_of_codes(
    *,
    encode: Callable[[TrainState, jax.Array], jax.Array],
    decode_codes: Callable[[TrainState, jax.Array], jax.Array],
    likelihood: Likelihood,
    num_codes: int,
    grid_shape: tuple[int, int],
) -> tuple[Callable[..., jax.Array], dict[str, Callable[..., Any]]]:
    """`sample`, of codes of the uniform prior, and the `functions` of every autoencoder with grids of codes.

    Those are `encode` and `decode_codes` as given, `reconstruct(state, images) -> images`, `draw_codes(state, key,
    batch) -> codes` of the likelihood's targets, and `prior(key, num_samples) -> codes int32 [N, *grid_shape]`.
    """

    def reconstruct(state: TrainState, images: jax.Array) -> jax.Array:
        return decode_codes(state, encode(state, images))

    def draw_codes(state: TrainState, key: Key, batch: Batch) -> jax.Array:
        return encode(state, likelihood.targets(key, batch["index"], batch["image"]))

    def prior(key: Key, num_samples: int) -> jax.Array:
        keys = example_keys(key, jnp.arange(num_samples, dtype=jnp.uint32))
        return jax.vmap(lambda k: jax.random.randint(k, grid_shape, 0, num_codes, jnp.int32))(keys)

    sample, _ = samples_by_class(lambda state, key, num_samples: decode_codes(state, prior(key, num_samples)))
    return sample, {
        "prior": prior,
        "encode": encode,
        "decode_codes": decode_codes,
        "reconstruct": reconstruct,
        "draw_codes": draw_codes,
    }
