"""The kernel distance between two sets of features (Binkowski et al. 2018, https://arxiv.org/abs/1801.01401)."""

from typing import NamedTuple

import numpy as np

from jaxgen.core.errors import UserError
from jaxgen.metrics.feature_arrays import check_features

ROWS_AT_ONCE = 64
LARGE = 30.0
"""Mean |x|^2 / F of features above which float32 would lose too many digits of the cubic kernel."""


class KernelDistance(NamedTuple):
    """A kernel distance and its standard error."""

    value: float
    """Mean squared MMD over the subsets; it is unbiased, and so may be negative if the distance is near 0."""
    standard_error: float
    """Standard error of the mean: standard deviation over the subsets / sqrt(number of subsets).

    It is the effect of choosing other subsets. These are drawn from the same samples, so the effect of other samples is
    larger: it is no confidence interval if the subsets are large relative to the samples, and it is 0 if they are all
    of them."""


def kernel_distance(
    real: np.ndarray, generated: np.ndarray, *, num_subsets: int = 100, subset_size: int = 1000, seed: int = 0
) -> KernelDistance:
    """Return the mean of `squared_mmd` over random subsets of features [N, F] and [M, F].

    With features of the FID's Inception-v3 it is the KID.

    Args:
      num_subsets: number of subsets, at least 2.
      subset_size: number of samples drawn from each side for a subset, without replacement; all samples of the smaller
        side if it has fewer.
      seed: seed of the subsets, which are drawn as in torch-fidelity (whose default is 2020), by NumPy's RandomState,
        whose stream never changes.

    Raises:
      UserError: the arrays are not features [N, F] and [M, F], there are fewer than two samples on either side, fewer
        than two subsets or samples in a subset, or the seed is outside 0..2**32 - 1.
    """
    real, generated = check_features(real=real, generated=generated)
    if num_subsets < 2 or subset_size < 2:
        raise UserError(
            f"A kernel distance needs at least 2 subsets of at least 2 samples, not {num_subsets} of {subset_size}."
        )
    if not 0 <= seed < 2**32:
        raise UserError(f"The seed of the subsets must lie in 0..{2**32 - 1}, not {seed}.")
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
    """Return the unbiased squared maximum mean discrepancy of features [M, F] and [M, F] under the cubic kernel.

        1 / (M (M - 1)) sum_{i != j} (k(x_i, x_j) + k(y_i, y_j)) - 2 / M^2 sum_ij k(x_i, y_j),
        k(x, y) = (x . y / F + 1)^3

    (Binkowski et al. 2018). It is computed in float64 for float64 features and if |x|^2 is many times F, because then
    most digits of the kernel cancel; otherwise in float32, with sums in float64.

    Raises:
      UserError: the arrays are not features [M, F], have unequal numbers of samples, or have fewer than two.
    """
    x, y = check_features(first=x, second=y)
    if len(x) != len(y) or len(x) < 2:
        raise UserError(
            f"The squared MMD is between equally many samples, at least 2, not {len(x)} and {len(y)}: take subsets of "
            "one size, or use kernel_distance, which does."
        )
    if max(np.mean(np.square(z), dtype=np.float64) for z in (x, y)) > LARGE:
        x, y = x.astype(np.float64), y.astype(np.float64)
    count = len(x)
    within = 0.0
    for products in (_products(x, x), _products(y, y)):
        within += _sum_of_kernel(products) - _sum_of_kernel(products.diagonal())
    return within / (count * (count - 1)) - 2.0 * _sum_of_kernel(_products(x, y)) / count**2


def _products(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return x_i . y_j / F, [M, M]; if y is x, BLAS computes only half of them."""
    products = x @ y.T
    products /= products.dtype.type(x.shape[1])
    return products


def _sum_of_kernel(products: np.ndarray) -> float:
    """Return the sum of (p + 1)^3 - 1; the constant cancels in the distance, and float32 holds more digits without it.

    The sum is computed in pieces that stay in the processor's cache; terms that cancel are summed in float64.
    """
    total, three = 0.0, products.dtype.type(3)
    for start in range(0, len(products), ROWS_AT_ONCE):
        p = products[start : start + ROWS_AT_ONCE]
        total += float((p * (p * (p + three) + three)).sum(dtype=np.float64))
    return total
