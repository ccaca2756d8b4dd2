"""Scores from nearest neighbors of features: precision and recall, density and coverage, memorization."""

from typing import Literal, NamedTuple

import numpy as np

from jaxgen.core.errors import UserError
from jaxgen.metrics.distances import Progress, balls_around, check_enough, nearest_distances
from jaxgen.metrics.feature_arrays import check_features

Convention = Literal["paper", "prdc"]
CONVENTIONS = ("paper", "prdc")


class PrecisionRecall(NamedTuple):
    """Shares between 0 and 1."""

    precision: float
    """Share of the generated samples within the manifold of the real ones: quality."""
    recall: float
    """Share of the real samples within the manifold of the generated ones: diversity."""


class DensityCoverage(NamedTuple):
    """Density, about 1, and coverage, at most 1, for two sets of one distribution."""

    density: float
    """Mean number of balls around real samples that hold a generated one, over k: quality. Above 1 if samples
    cluster."""
    coverage: float
    """Share of the balls around real samples that hold a generated one: diversity."""


class NearestTraining(NamedTuple):
    """Distances of generated samples to training samples, compared with those of held-out real ones."""

    distances: np.ndarray
    """[N], distance of each generated sample to the nearest training sample."""
    indices: np.ndarray
    """[N], number of that training sample."""
    ratio: float
    """Median of these distances / median of those of held-out samples: about 1, and 0 for copies."""
    closer: float
    """Probability that a generated sample is closer to the training set than a held-out one: about 1/2, and 1 for
    copies."""


def precision_recall(
    real: np.ndarray,
    generated: np.ndarray,
    *,
    k: int = 3,
    convention: Convention = "paper",
    progress: Progress | None = None,
) -> PrecisionRecall:
    """Return improved precision and recall of features [N, F] and [M, F] (Kynkaanniemi et al. 2019, arXiv:1904.06991).

        f(x, Y) = 1 if |x - y| <= |y - NN_k(y, Y)| for any y of Y, else 0
        precision = mean_j f(generated_j, real),   recall = mean_i f(real_i, generated)

    NN_k(y, Y) is the k-th nearest sample of Y other than y (the paper's k = 3); copies of y are other samples.
    Distances are compared in float64, and count as equal if their squares differ by less than 1e-14 of the radius's.

    Args:
      convention: "paper": a ball includes its border, as in the paper's equation 1, so that a set against itself has
        precision and recall 1 even if its samples occur several times. "prdc": a ball does not include its border, as
        in the package prdc of Naeem et al. 2020, where k + 1 equal samples are in no ball, not even their own. Both are
        the same for samples of which no two are equal or equally far.

    Raises:
      UserError: the arrays are not features [N, F] and [M, F], there are fewer than k + 1 samples on either side, or
        the convention is unknown.
    """
    real, generated = check_features(real=real, generated=generated)
    border = _has_border(convention)
    n, m = len(real), len(generated)
    check_enough(k, min(n, m) - 1)
    total = 2 * (n + m)
    real_radii = _radii(real, k, _part(progress, 0, total))
    generated_radii = _radii(generated, k, _part(progress, n, total))
    real_balls, _ = balls_around(generated, real, real_radii, border, _part(progress, n + m, total))
    generated_balls, _ = balls_around(real, generated, generated_radii, border, _part(progress, n + 2 * m, total))
    return PrecisionRecall(float(np.mean(real_balls > 0)), float(np.mean(generated_balls > 0)))


def density_coverage(
    real: np.ndarray,
    generated: np.ndarray,
    *,
    k: int = 5,
    convention: Convention = "paper",
    progress: Progress | None = None,
) -> DensityCoverage:
    """Return density and coverage of features [N, F] and [M, F] (Naeem et al. 2020, https://arxiv.org/abs/2002.09797).

        density  = 1 / (k M) sum_j sum_i 1[ |generated_j - real_i| <= r_i ]
        coverage = 1 / N sum_i 1[ |generated_j - real_i| <= r_i for any j ]

    where r_i is the distance of real_i to its k-th nearest other real sample.

    Args:
      convention: "paper": a ball includes its border, as in `precision_recall`; a set of different samples against
        itself then has density (k + 1) / k. "prdc": `<` in place of `<=`, as in the authors' package; this set then has
        density 1, but sets of samples that occur more than k times have density and coverage 0.

    Raises:
      UserError: the arrays are not features [N, F] and [M, F], there are fewer than k + 1 real samples, or the
        convention is unknown.
    """
    border = _has_border(convention)
    real, generated = check_features(real=real, generated=generated)
    total = len(real) + len(generated)
    radii = _radii(real, k, _part(progress, 0, total))
    balls, reached = balls_around(generated, real, radii, border, _part(progress, len(real), total))
    return DensityCoverage(float(np.mean(balls) / k), float(np.mean(reached)))


def nearest_training(
    generated: np.ndarray, train: np.ndarray, held_out: np.ndarray, *, progress: Progress | None = None
) -> NearestTraining:
    """Distinguish memorization from generalization by features of generated, training and held-out samples, [*, F].

    A model that learned the distribution draws samples as far from the training set as held-out samples are. With L the
    distance to the nearest training sample,

        ratio = median L(generated) / median L(held-out)
        closer = Pr(L(generated) < L(held-out)) + 1/2 Pr(L(generated) = L(held-out))

    `closer` is the Mann-Whitney statistic on which Meehan et al. 2020 (arXiv:2004.05675) base their test for
    data-copying, here over the whole space, not cell by cell. Poor samples are far from all real ones and hide copies
    in both numbers, so look at the nearest pairs too.

    Raises:
      UserError: the arrays are not features [*, F], or at least half of the held-out samples are in the training set.
    """
    generated, train, held_out = check_features(generated=generated, training=train, held_out=held_out)
    total = len(generated) + len(held_out)
    found, nearest = nearest_distances(generated, train, 1, progress=_part(progress, 0, total))
    distances, indices = found[:, 0], nearest[:, 0]
    found, _ = nearest_distances(held_out, train, 1, progress=_part(progress, len(generated), total))
    expected = np.sort(found[:, 0])
    if np.median(expected) == 0.0:
        raise UserError(
            "At least half of the held-out samples are also training samples: give real ones that were not trained on."
        )
    farther = len(expected) - np.searchsorted(expected, distances, "right")
    not_closer = len(expected) - np.searchsorted(expected, distances, "left")
    return NearestTraining(
        distances=distances,
        indices=indices,
        ratio=float(np.median(distances) / np.median(expected)),
        closer=float(np.mean(farther + not_closer) / (2 * len(expected))),
    )


def _has_border(convention: str) -> bool:
    if convention not in CONVENTIONS:
        raise UserError(f"There is no convention {convention!r} of a ball's border: use {' or '.join(CONVENTIONS)}.")
    return convention == "paper"


def _part(progress: Progress | None, start: int, total: int) -> Progress | None:
    """Return the progress function of one of several passes, before which `start` of all `total` samples were done."""
    return None if progress is None else lambda done, _: progress(start + done, total)


def _radii(features: np.ndarray, k: int, progress: Progress | None) -> np.ndarray:
    """Return the distance of each sample [N, F] to its k-th nearest other sample, [N]."""
    return nearest_distances(features, features, k, exclude_self=True, progress=progress)[0][:, -1]
