"""Distances between features: nearest neighbors, and the points within balls.

Distances are Euclidean. They are computed in blocks, so that no array of all pairs of samples is ever in memory. Blocks
compare by |x|^2 + |y|^2 - 2 x.y of features minus their mean. Comparisons that its rounding could decide are made by
the differences of the features in float64, so that equal samples have a distance of exactly 0.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from jaxgen.core.errors import UserError
from jaxgen.metrics.feature_arrays import check_features

Progress = Callable[[int, int], None]
"""Function called with (number of samples done, number of all samples)."""

MAX_BLOCK = 512
PAIRS_PER_BLOCK = 2**23
NUMBERS_AT_ONCE = 2**24  # most differences of features in memory
# How many neighbors of a sample, besides the k nearest, are compared by the differences of their features at once.
SPARE = 8


# Largest error of |x|^2 + |y|^2 - 2 x.y relative to |x|^2 + |y|^2: in float32 at most 0.7e-6 was measured, for 16 to
# 2048 features of five kinds.
ROUNDING = {np.dtype(np.float32): 2e-6, np.dtype(np.float64): 4e-15}
# Squared distances in float64 whose relative difference is below this count as equal.
EQUAL = 1e-14


class _Points(NamedTuple):
    """Samples [N, F]."""

    exact: np.ndarray
    """Samples as they were given."""
    centered: np.ndarray
    """Samples minus the references' mean, since a large mean would use up the digits of |x|^2."""

    def at(self, rows: np.ndarray | slice) -> "_Points":
        """Return some of the samples."""
        return _Points(self.exact[rows], self.centered[rows])


def nearest_distances(
    queries: np.ndarray,
    references: np.ndarray,
    k: int,
    *,
    exclude_self: bool = False,
    progress: Progress | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the k nearest references [M, F] of each query [N, F]: distances [N, k], ascending, and indices [N, k].

    Distances are float64, and exactly 0 for equal samples. Among references at the same distance the first are taken.

    Args:
      exclude_self: whether the queries are the references, and no sample counts as its own neighbor.

    Raises:
      UserError: the arrays are not features [N, F] and [M, F], or there are fewer than k references.
      ValueError: `exclude_self` is set and the numbers of queries and references differ.
    """
    queries, references = check_features(query=queries, reference=references)
    if exclude_self and len(queries) != len(references):
        raise ValueError(f"{len(queries)} queries cannot be the same samples as {len(references)} references.")
    check_enough(k, len(references) - exclude_self)
    kept = _first_copies(references, k + 1)  # no other copy can be among the k nearest, even if one is excluded
    places = np.full(len(references), -1)
    places[kept] = np.arange(len(kept))
    points, others = _centered(queries, references)
    others = others.at(kept)
    norms = _squared_norms(others.centered)
    distances, indices = [], []
    for rows in _blocks(len(queries), len(kept)):
        own = places[rows] if exclude_self else None
        block_distances, block_indices = _nearest(points.at(rows), own, others, norms, k)
        distances.append(block_distances)
        indices.append(kept[block_indices])
        if progress is not None:
            progress(rows.stop, len(queries))
    return np.concatenate(distances), np.concatenate(indices)


def check_enough(k: int, others: int) -> None:
    if not 1 <= k <= others:
        raise UserError(
            f"The {k} nearest neighbors of a sample cannot be found among {others} others: give more samples, or "
            "choose another k."
        )


def _centered(queries: np.ndarray, references: np.ndarray) -> tuple[_Points, _Points]:
    mean = references.mean(0, dtype=np.float64).astype(references.dtype)
    return _Points(queries, queries - mean), _Points(references, references - mean)


def _groups(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Group equal samples [N, F]: return the first of each group, in order [G], and the group of each sample [N]."""
    rows = np.ascontiguousarray(features + 0.0)  # no -0.0, whose bytes differ from those of 0.0
    rows = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()
    _, firsts, groups = np.unique(rows, return_index=True, return_inverse=True)
    order = np.argsort(firsts)
    return firsts[order], np.argsort(order)[groups]


def _first_copies(features: np.ndarray, most: int) -> np.ndarray:
    """Return the numbers [K] of samples, in order, without those that come after `most` equal ones."""
    firsts, groups = _groups(features)
    if len(firsts) == len(features):
        return firsts
    order = np.argsort(groups, kind="stable")
    starts = np.searchsorted(groups[order], np.arange(len(firsts)))
    copies = np.arange(len(features)) - starts[groups[order]]
    return np.sort(order[copies < most])


def _blocks(num_queries: int, num_references: int) -> Iterator[slice]:
    """Yield the rows of each block."""
    size = max(1, min(MAX_BLOCK, PAIRS_PER_BLOCK // num_references))
    for start in range(0, num_queries, size):
        yield slice(start, min(start + size, num_queries))


def _squared_norms(x: np.ndarray) -> np.ndarray:
    """Return the squared norms of [..., F], [...]."""
    return np.sum(x * x, axis=-1)


def _squares(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return |x - y|^2 in float64: two arrays [..., F] to [...]."""
    return _squared_norms(x.astype(np.float64) - y)


def _nearest(
    queries: _Points, own: np.ndarray | None, references: _Points, norms: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Compute one block of `nearest_distances`.

    Arguments are queries [B, F], the reference that each query is, [B] (-1: no reference), or None, references [M, F]
    and their squared norms [M]. Returns distances [B, k] and indices [B, k].
    """
    order = queries.centered @ references.centered.T
    order *= order.dtype.type(-2)
    order += norms  # |query|^2 is the same along a row
    if own is not None:
        rows = np.flatnonzero(own >= 0)
        order[rows, own[rows]] = np.inf
    count = min(k + SPARE, len(norms))
    candidates = np.sort(np.argpartition(order, count - 1, axis=1)[:, :count], axis=1)  # [B, C]; among equals the first
    squared = np.stack([_squares(references.exact[column], queries.exact) for column in candidates.T], axis=1)
    if own is not None:
        squared[candidates == own[:, None]] = np.inf
    chosen = np.argsort(squared, axis=1, kind="stable")[:, :k]
    squared, indices = np.take_along_axis(squared, chosen, 1), np.take_along_axis(candidates, chosen, 1)
    own_norms = _squared_norms(queries.centered)
    most = squared[:, -1] - own_norms + ROUNDING[order.dtype] * (own_norms + norms.max())
    # A reference that rounding could have excluded from the candidates has an approximate distance of at most `most`.
    unsure = (
        np.take_along_axis(order, candidates, 1).max(1) <= most if count < len(norms) else np.zeros(len(most), bool)
    )
    for row in np.flatnonzero(unsure):
        columns = np.flatnonzero(order[row] <= most[row])
        squares = _squares(references.exact[columns], queries.exact[row])
        best = np.argsort(squares, kind="stable")[:k]
        squared[row], indices[row] = squares[best], columns[best]
    return np.sqrt(squared), indices


def balls_around(
    points: np.ndarray, centers: np.ndarray, radii: np.ndarray, border: bool, progress: Progress | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return in how many balls each point lies [N], and which balls hold a point [M].

    Arguments are points [N, F], and centers [M, F] and radii [M] of the balls. Only one of several equal points, or of
    equal centers, which have equal radii, is computed.

    Args:
      border: whether a ball includes its border.
    """
    (firsts, point_groups), (kept, centre_groups) = _groups(points), _groups(centers)
    queries, others = _centered(points, centers)
    queries, others, squared_radii = queries.at(firsts), others.at(kept), np.square(radii[kept])
    done, copies = np.cumsum(np.bincount(point_groups)), np.bincount(centre_groups)
    counts, reached = [], np.zeros(len(kept), bool)
    for rows in _blocks(len(firsts), len(kept)):
        inside = _inside(queries.at(rows), others, squared_radii, border)
        counts.append(inside @ copies)
        reached |= inside.any(0)
        if progress is not None:
            progress(int(done[rows.stop - 1]), int(done[-1]))
    return np.concatenate(counts)[point_groups], reached[centre_groups]


def _inside(points: _Points, centers: _Points, squared_radii: np.ndarray, border: bool) -> np.ndarray:
    """Compute one block of `balls_around`: points [B, F], centers [M, F], squared radii [M] to bool [B, M]."""
    norms, own_norms = _squared_norms(centers.centered), _squared_norms(points.centered)[:, None]
    depth = points.centered @ centers.centered.T  # becomes r^2 - |x - y|^2
    depth *= depth.dtype.type(2)
    depth += (squared_radii - norms).astype(depth.dtype)
    depth -= own_norms
    margin = norms + own_norms
    margin *= margin.dtype.type(ROUNDING[margin.dtype])
    inside = depth > margin
    rows, columns = np.nonzero(np.abs(depth, out=depth) <= margin)  # pairs that rounding could decide
    bounds = squared_radii * (1.0 + EQUAL if border else 1.0 - EQUAL)
    step = max(1, NUMBERS_AT_ONCE // points.exact.shape[1])
    for i in (slice(start, start + step) for start in range(0, len(rows), step)):
        squares = _squares(points.exact[rows[i]], centers.exact[columns[i]])
        inside[rows[i], columns[i]] = squares <= bounds[columns[i]] if border else squares < bounds[columns[i]]
    return inside
