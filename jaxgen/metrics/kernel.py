"""The kernel distance between two sets of features (Binkowski et al. 2018, https://arxiv.org/abs/1801.01401)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxgen.errors import UserError
from jaxgen.metrics.feature_arrays import check_features


class KernelDistance(NamedTuple):
    """A kernel distance and how well it is known."""

    value: float
    """Mean squared MMD over the subsets; may be negative where the distance is near 0, for it has no bias."""
    standard_error: float
    """Of that mean: standard deviation over the subsets / sqrt(number of subsets).

    It says how much another choice of subsets would change the value. The subsets are drawn from the same samples, so
    it is smaller than what other samples would change: not at all a confidence interval where the subsets are large
    beside the samples, and 0 where they are all of them.
    """


def kernel_distance(
    real: np.ndarray, generated: np.ndarray, *, num_subsets: int = 100, subset_size: int = 1000, seed: int = 0
) -> KernelDistance:
    """The mean of `squared_mmd` over random subsets of features [N, F] and [M, F].

    With features of the FID's Inception-v3 it is the KID.

    Args:
      num_subsets: at least 2.
      subset_size: samples drawn from each side for a subset, without replacement; all of the smaller side where it has
        fewer.
      seed: of the choice. The subsets are drawn as torch-fidelity draws them (its default is 2020), with NumPy's
        RandomState, whose stream never changes.

    Raises:
      UserError: fewer than two samples on either side.
    """
    real, generated = check_features(real=real, generated=generated)
    size = min(subset_size, len(real), len(generated))
    if size < 2:
        raise UserError(
            f"A kernel distance needs at least 2 samples on either side, and there are {len(real)} real and "
            f"{len(generated)} generated ones: give more."
        )
    random = np.random.RandomState(seed)
    values = []
    for _ in range(num_subsets):
        real_rows = random.choice(len(real), size, replace=False)
        generated_rows = random.choice(len(generated), size, replace=False)
        values.append(squared_mmd(real[real_rows], generated[generated_rows]))
    return KernelDistance(float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(num_subsets)))


def squared_mmd(x: np.ndarray, y: np.ndarray) -> float:
    """The unbiased squared maximum mean discrepancy of features [M, F] and [M, F] under the cubic kernel.

        1 / (M (M - 1)) sum_{i != j} (k(x_i, x_j) + k(y_i, y_j)) - 2 / M^2 sum_ij k(x_i, y_j),
        k(x, y) = (x . y / F + 1)^3

    of Binkowski et al. 2018. Meant for features of about size 1, as networks have them: where |x|^2 is many times F,
    most of the digits cancel.
    """
    # Each sample's share is computed in float32 on the device; their mean, in which most cancels, in float64.
    return float(np.mean(np.asarray(_shares(x, y), np.float64)))


@jax.jit
def _shares(x: jax.Array, y: jax.Array) -> jax.Array:
    """[M], whose mean is the squared MMD."""
    num_samples, num_features = x.shape
    others = 1.0 - jnp.eye(num_samples)

    def kernel(a: jax.Array, b: jax.Array) -> jax.Array:
        """k(a_i, b_j) - 1: a constant cancels in the sum, and float32 holds more digits without it."""
        products = jnp.matmul(a, b.T, precision=lax.Precision.HIGHEST) / num_features
        return products * (products * (products + 3.0) + 3.0)

    within = (others * (kernel(x, x) + kernel(y, y))).sum(1) / (num_samples - 1)
    return within - 2.0 * kernel(x, y).sum(1) / num_samples
