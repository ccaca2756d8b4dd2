"""What the nearest neighbours among features say: precision and recall, density and coverage, memorised images.

Distances are Euclidean. They are computed in blocks: no array of all pairs of samples is ever in memory.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from jaxgen.errors import UserError
from jaxgen.metrics.feature_arrays import check_features

Progress = Callable[[int, int], None]
"""(how many samples are done, of how many)."""

MAX_BLOCK = 512
PAIRS_PER_BLOCK = 2**23
NUMBERS_AT_ONCE = 2**24  # of the differences of features
# How far off |x|^2 + |y|^2 - 2 x.y may be in float32, relative to |x|^2 + |y|^2; at most 0.7e-6 was measured,
# for 16 to 2048 features of five kinds.
ROUNDING = 2e-6
# How many neighbours of a sample, beside the k nearest, that this rounding could swap with them, are looked at by the
# differences of their features.
SPARE = 8
# Squared distances by differences that are nearer to each other than this, relatively, count as equal.
EQUAL = 1e-6


class PrecisionRecall(NamedTuple):
    """Shares between 0 and 1."""

    precision: float
    """Of the generated samples, within the real ones' manifold: quality."""
    recall: float
    """Of the real samples, within the generated ones' manifold: diversity."""


class DensityCoverage(NamedTuple):
    """Density is about 1 and coverage at most 1 where both sets are of one distribution."""

    density: float
    """In how many balls around real samples a generated one lies, over k: quality. Above 1 where they crowd."""
    coverage: float
    """Share of the balls around real samples in which a generated one lies: diversity."""


class NearestTraining(NamedTuple):
    """How near generated samples come to training samples, beside how near held-out real ones come."""

    distances: np.ndarray
    """[N], of each generated sample to the nearest training sample."""
    indices: np.ndarray
    """[N], which training sample that is."""
    ratio: float
    """Median of these distances / median of those of held-out samples: about 1, and 0 for copies."""
    closer: float
    """Probability that a generated sample is closer to the training set than a held-out one: about 1/2; copies: 1."""


def nearest_distances(
    queries: np.ndarray,
    references: np.ndarray,
    k: int,
    *,
    exclude_self: bool = False,
    progress: Progress | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest references [M, F] of each query [N, F] -> (distances [N, k] ascending, indices [N, k]).

    Distances are those of differences, to float32's precision. Which references are nearest is exact but for those
    whose squared distances differ by less than 1e-6 of the features' squared distance from the references' mean.

    Args:
      exclude_self: the queries are the references, and none is its own neighbour.

    Raises:
      UserError: fewer than k references.
      ValueError: `exclude_self` with other numbers of queries than of references.
    """
    queries, references = check_features(query=queries, reference=references)
    if exclude_self and len(queries) != len(references):
        raise ValueError(f"{len(queries)} queries cannot be the same samples as {len(references)} references.")
    _check_enough(k, len(references) - exclude_self)
    queries, references = _centred(queries, references)
    norms = _squared_norms(references)
    distances, indices = [], []
    for start, block in _blocks(queries, len(references)):
        own = start + np.arange(len(block)) if exclude_self else None
        block_distances, block_indices = _nearest(block, own, references, norms, k)
        distances.append(block_distances)
        indices.append(block_indices)
        if progress is not None:
            progress(start + len(block), len(queries))
    return np.concatenate(distances), np.concatenate(indices)


def precision_recall(
    real: np.ndarray, generated: np.ndarray, *, k: int = 3, progress: Progress | None = None
) -> PrecisionRecall:
    """Improved precision and recall of features [N, F] and [M, F] (Kynkaanniemi et al. 2019, arXiv:1904.06991).

        f(x, Y) = 1 if |x - y| < |y - NN_k(y, Y)| for any y of Y, else 0
        precision = mean_j f(generated_j, real),   recall = mean_i f(real_i, generated)

    NN_k(y, Y) is the k-th nearest sample of Y other than y (the paper's k = 3). As in the package `prdc`, which counts
    neighbours in the same way, the bound itself lies outside (the paper's inside), and so does what float32 cannot
    tell from it.

    Raises:
      UserError: fewer than k + 1 samples on either side.
    """
    real, generated = check_features(real=real, generated=generated)
    n, m = len(real), len(generated)
    _check_enough(k, min(n, m) - 1)
    total = 2 * (n + m)
    real_radii = _radii(real, k, _part(progress, 0, total))
    generated_radii = _radii(generated, k, _part(progress, n, total))
    real_balls, _ = _balls(generated, real, real_radii, _part(progress, n + m, total))
    generated_balls, _ = _balls(real, generated, generated_radii, _part(progress, n + 2 * m, total))
    return PrecisionRecall(float(np.mean(real_balls > 0)), float(np.mean(generated_balls > 0)))


def density_coverage(
    real: np.ndarray, generated: np.ndarray, *, k: int = 5, progress: Progress | None = None
) -> DensityCoverage:
    """Density and coverage of features [N, F] and [M, F] (Naeem et al. 2020, https://arxiv.org/abs/2002.09797).

        density  = 1 / (k M) sum_j sum_i 1[ |generated_j - real_i| < r_i ]
        coverage = 1 / N sum_i 1[ |generated_j - real_i| < r_i for any j ]

    with r_i the distance of real_i to its k-th nearest other real sample; bounds as in `precision_recall`.

    Raises:
      UserError: fewer than k + 1 real samples.
    """
    real, generated = check_features(real=real, generated=generated)
    total = len(real) + len(generated)
    radii = _radii(real, k, _part(progress, 0, total))
    balls, reached = _balls(generated, real, radii, _part(progress, len(real), total))
    return DensityCoverage(float(np.mean(balls) / k), float(np.mean(reached)))


def nearest_training(
    generated: np.ndarray, train: np.ndarray, held_out: np.ndarray, *, progress: Progress | None = None
) -> NearestTraining:
    """Tells memorisation from generalisation: features of generated, training and held-out real samples, [*, F].

    A model that learnt the distribution draws samples that are as far from the training set as held-out samples are.
    With L the distance to the nearest training sample,

        ratio = median L(generated) / median L(held-out)
        closer = Pr(L(generated) < L(held-out)) + 1/2 Pr(L(generated) = L(held-out))

    `closer` is the Mann-Whitney statistic on which Meehan et al. 2020 (arXiv:2004.05675) build their test for
    data-copying, here over the whole space, not cell by cell. Poor samples are far from all real ones and hide copies
    in both numbers: look at the nearest pairs too.

    Raises:
      UserError: at least half of the held-out samples are in the training set.
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


def _check_enough(k: int, others: int) -> None:
    if not 1 <= k <= others:
        raise UserError(
            f"The {k} nearest neighbours of a sample cannot be found among {others} others: give more samples, or "
            "choose another k."
        )


def _part(progress: Progress | None, start: int, total: int) -> Progress | None:
    """The progress of one pass among several, before which `start` of all `total` samples were done."""
    return None if progress is None else lambda done, _: progress(start + done, total)


def _centred(queries: np.ndarray, references: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both minus the references' mean, without which the digits of |x|^2 would go into it."""
    mean = references.mean(0, dtype=np.float64).astype(np.float32)
    return queries - mean, references - mean


def _blocks(queries: np.ndarray, num_references: int) -> Iterator[tuple[int, np.ndarray]]:
    """Gives (first row, block [B, F])."""
    size = max(1, min(MAX_BLOCK, PAIRS_PER_BLOCK // num_references))
    for start in range(0, len(queries), size):
        yield start, queries[start : start + size]


def _squared_norms(x: np.ndarray) -> np.ndarray:
    """[..., F] -> [...]."""
    return np.sum(x * x, axis=-1)


def _nearest(
    queries: np.ndarray, own: np.ndarray | None, references: np.ndarray, norms: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """One block of `nearest_distances`.

    Queries [B, F], which reference each is [B] or None, references [M, F], their squared norms [M] -> [B, k], [B, k].
    """
    order = queries @ references.T
    order *= np.float32(-2)
    order += norms  # |query|^2 is the same along a row
    if own is not None:
        order[np.arange(len(queries)), own] = np.inf
    count = min(k + SPARE, len(references))
    candidates = np.sort(np.argpartition(order, count - 1, axis=1)[:, :count], axis=1)  # [B, C]; of equals the first
    squared = np.stack([_squared_norms(queries - references[column]) for column in candidates.T], axis=1)
    if own is not None:
        squared[candidates == own[:, None]] = np.inf
    chosen = np.argsort(squared, axis=1, kind="stable")[:, :k]
    return np.sqrt(np.take_along_axis(squared, chosen, 1)), np.take_along_axis(candidates, chosen, 1)


def _radii(features: np.ndarray, k: int, progress: Progress | None) -> np.ndarray:
    """Distance of each sample [N, F] to its k-th nearest other sample, [N]."""
    return nearest_distances(features, features, k, exclude_self=True, progress=progress)[0][:, -1]


def _balls(
    points: np.ndarray, centres: np.ndarray, radii: np.ndarray, progress: Progress | None
) -> tuple[np.ndarray, np.ndarray]:
    """Points [N, F], centres and radii of balls [M, F], [M] -> in how many a point lies [N], which hold any [M]."""
    points, centres = _centred(points, centres)
    norms, squared_radii = _squared_norms(centres), radii * radii
    counts, reached = [], np.zeros(len(centres), bool)
    for start, block in _blocks(points, len(centres)):
        inside = _inside(block, centres, norms, squared_radii)
        counts.append(inside.sum(1))
        reached |= inside.any(0)
        if progress is not None:
            progress(start + len(block), len(points))
    return np.concatenate(counts), reached


def _inside(points: np.ndarray, centres: np.ndarray, norms: np.ndarray, squared_radii: np.ndarray) -> np.ndarray:
    """One block of `_balls`: points [B, F], centres [M, F], their squared norms and radii [M] -> bool [B, M]."""
    own_norms = _squared_norms(points)[:, None]
    depth = points @ centres.T  # becomes r^2 - |x - y|^2
    depth *= np.float32(2)
    depth += squared_radii - norms
    depth -= own_norms
    margin = norms + own_norms
    margin *= np.float32(ROUNDING)
    inside = depth > margin
    rows, columns = np.nonzero(np.abs(depth, out=depth) <= margin)  # what rounding could decide
    step = max(1, NUMBERS_AT_ONCE // points.shape[1])
    for i in (slice(start, start + step) for start in range(0, len(rows), step)):
        exact = _squared_norms(points[rows[i]] - centres[columns[i]])
        inside[rows[i], columns[i]] = exact < (1.0 - EQUAL) * squared_radii[columns[i]]
    return inside
