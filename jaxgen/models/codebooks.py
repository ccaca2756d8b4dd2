"""A codebook: vectors that stand for those nearest to them (VQ-VAE, van den Oord et al. 2017, arXiv:1711.00937)."""

import jax
import jax.numpy as jnp

from jaxgen.core.keys import example_keys
from jaxgen.core.reductions import gather_over_devices, sum_over_devices
from jaxgen.core.types import Key

SMOOTHING = 1e-5
"""Laplace smoothing of the counts, so that a code that is never used is not divided by zero."""


def initial_codes(key: Key, num_codes: int, code_size: int) -> jax.Array:
    """Draw codes [K, D], uniform in [-1/K, 1/K].

    The codes are close to each other, so that none is out of reach of the first vectors.
    """
    return jax.random.uniform(key, (num_codes, code_size), jnp.float32, -1.0 / num_codes, 1.0 / num_codes)


def nearest_codes(vectors: jax.Array, codes: jax.Array) -> jax.Array:
    """Return the number, int32 [...], of the nearest of the codes [K, D] to each of the vectors [..., D] (eq. 1)."""
    center = jnp.mean(codes, 0)  # subtracted, so that |e|^2 does not lose digits to the codebook's offset
    codes = codes - center
    dots = jnp.matmul(vectors - center, codes.T, precision=jax.lax.Precision.HIGHEST)
    # |z|^2 is left out: it is the same for all codes.
    distances = jnp.sum(jnp.square(codes), -1) - 2.0 * dots
    # `jnp.argmin`, but as two reductions, each of which XLA compiles to vector code on a CPU
    nearest = distances == jnp.min(distances, -1, keepdims=True)
    numbers = jnp.arange(len(codes), dtype=jnp.int32)
    return jnp.min(jnp.where(nearest, numbers, len(codes) - 1), -1)


def straight_through(vectors: jax.Array, quantized: jax.Array) -> jax.Array:
    """Return `quantized`, whose gradient goes to `vectors` unchanged (section 3.2)."""
    return vectors + jax.lax.stop_gradient(quantized - vectors)


def update_counts(counts: jax.Array, numbers: jax.Array, decay: float) -> jax.Array:
    """Return the running counts [K] of uses after a batch with the numbers [N] (eq. 6).

    N_i <- gamma N_i + (1 - gamma) n_i, where n_i is how often code i is among the numbers of all devices.
    """
    uses = jax.nn.one_hot(numbers, len(counts), dtype=counts.dtype)  # [N, K]
    return decay * counts + (1.0 - decay) * sum_over_devices(jnp.sum(uses, 0))


def update_codebook(
    codebook: dict[str, jax.Array],
    vectors: jax.Array,
    numbers: jax.Array,
    key: Key,
    *,
    decay: float,
    revive_below: float,
) -> dict[str, jax.Array]:
    """Return the codebook of running means after a batch of vectors [N, D] with nearest codes [N].

    Appendix A.1, eqs. 6 to 8:

        N_i <- gamma N_i + (1 - gamma) n_i,   m_i <- gamma m_i + (1 - gamma) sum_j z_ij,   e_i = m_i / N_i

    with `counts` N [K], `sums` m [K, D] and `codes` e [K, D], over the vectors of all devices; N_i in e_i is smoothed
    to (N_i + eps) / (sum N + K eps) sum N.

    A code with N_i < `revive_below` is dead: it becomes a vector of the global batch chosen by `key`, with N_i =
    `revive_below` (random restarts: Dhariwal et al. 2020, arXiv:2005.00341). 0: no code is revived.
    """
    uses = jax.nn.one_hot(numbers, len(codebook["counts"]), dtype=vectors.dtype)  # [N, K]
    batch_sums = sum_over_devices(jnp.matmul(uses.T, vectors, precision=jax.lax.Precision.HIGHEST))  # [K, D]
    counts = update_counts(codebook["counts"], numbers, decay)
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
    """Return the share of each code [K], none of them 0."""
    return (counts + SMOOTHING) / jnp.sum(counts + SMOOTHING)


def perplexity(counts: jax.Array) -> jax.Array:
    """Return exp(-sum_i p_i log p_i) [] of the codes' shares p [K]: how many codes are in use."""
    shares = usage(counts)
    return jnp.exp(-jnp.sum(shares * jnp.log(shares)))


def uniform_codes(key: Key, num_samples: int, grid_shape: tuple[int, int], num_codes: int) -> jax.Array:
    """Draw uniform codes int32 [N, *grid_shape] in 0..K-1; grid i is the same, however many are drawn."""
    keys = example_keys(key, jnp.arange(num_samples, dtype=jnp.uint32))
    return jax.vmap(lambda k: jax.random.randint(k, grid_shape, 0, num_codes, jnp.int32))(keys)
