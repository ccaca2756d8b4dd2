"""The Frechet distance between two sets of features (Heusel et al. 2017, https://arxiv.org/abs/1706.08500)."""

import numpy as np

from jaxgen.core.errors import UserError
from jaxgen.metrics.feature_arrays import check_features
from jaxgen.metrics.moments import Moments, mean_and_covariance, moments_of


def frechet_distance(real: np.ndarray, generated: np.ndarray) -> float:
    """Return the Frechet distance between features [N, F] and [M, F]; with Inception-v3's features it is the FID.

    See `frechet_distance_of_moments`.
    """
    real, generated = check_features(real=real, generated=generated)
    return frechet_distance_of_moments(moments_of(real), moments_of(generated))


def frechet_distance_of_moments(real: Moments, generated: Moments) -> float:
    """Return d^2 = |m - m_w|^2 + Tr(C + C_w - 2 (C C_w)^(1/2)) (Heusel et al. 2017, eq. 6).

    Here m are the means and C the covariances of two sets of F features; d is the 2-Wasserstein distance of two
    Gaussians with these moments. The estimate is biased upward by about `frechet_bias`, so compare only distances of
    equal numbers of samples.

    Raises:
      UserError: the numbers of features differ, or there are fewer than F + 1 samples on either side.
    """
    counts = real.count, generated.count
    num_features = len(real.mean)
    if len(generated.mean) != num_features:
        raise UserError(
            f"The real samples have {num_features} features and the generated ones {len(generated.mean)}: use one "
            "extractor for both."
        )
    real_mean, real_covariance = mean_and_covariance(real)
    generated_mean, generated_covariance = mean_and_covariance(generated)
    if min(counts) < num_features + 1:
        bias = frechet_bias((real_covariance + generated_covariance) / 2, *counts)
        raise UserError(
            f"{counts[0]} real and {counts[1]} generated samples are too few for a Frechet distance over "
            f"{num_features} features: with fewer than {num_features + 1} on either side a covariance is singular and "
            f"the distance is biased upwards, here by about {bias:.2g}; use more samples, or the kernel distance "
            "(KID), which has no bias."
        )
    squared_means = np.sum((real_mean - generated_mean) ** 2)
    traces = np.trace(real_covariance) + np.trace(generated_covariance)
    distance = squared_means + traces - 2 * _trace_of_root(real_covariance, generated_covariance)
    return max(0.0, float(distance))  # for two equal sets rounding may leave it slightly below 0


def _trace_of_root(a: np.ndarray, b: np.ndarray) -> float:
    """Return Tr((A B)^(1/2)) of two covariances.

    With A = R R^T, A B has the eigenvalues of R^T B R, which is symmetric: all are real, and negative only by rounding.
    R is A's Cholesky factor, or, if A is singular, made from its eigenvectors.
    """
    try:
        root = np.linalg.cholesky(a)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(a)
        root = vectors * np.sqrt(np.clip(values, 0.0, None))
    return float(np.sum(np.sqrt(np.clip(np.linalg.eigvalsh(root.T @ b @ root), 0.0, None))))


def frechet_bias(covariance: np.ndarray, num_real: float, num_generated: float) -> float:
    """Estimate the Frechet distance of two sets of samples of the same distribution.

    For Gaussian features whose covariance [F, F] has the eigenvalues l_i, to first order in 1 / N and 1 / M,

        (1 / N + 1 / M) (5/4 sum_i l_i + 1/2 sum_ij l_i l_j / (l_i + l_j)),

    for N real and M generated samples: sum_i l_i from the means, the rest from the covariances, by the second-order
    expansion of the distance. (That the bias falls as 1 / N: Chong & Forsyth 2020, https://arxiv.org/abs/1911.07023.)
    With a covariance estimated from at most as many samples as features, it comes out up to a third too small.
    """
    values = np.linalg.eigvalsh(covariance)
    values = values[values > 0]
    pairs = values[:, None] * values / (values[:, None] + values)
    return float((1 / num_real + 1 / num_generated) * (1.25 * values.sum() + 0.5 * pairs.sum()))
