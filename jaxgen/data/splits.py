"""Held-out items of a data set: chosen by their names, or as recorded by a reopened run."""

import contextlib
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from typing import Any, NamedTuple

import numpy as np

from jaxgen.core.errors import UserError
from jaxgen.core.types import Assets
from jaxgen.data.content_digests import digest
from jaxgen.data.identity import Identity

HELD_OUT_FROM = 100
"""Collections with fewer items than this have no test split unless a fraction is given."""


class Recorded(NamedTuple):
    """The record that a run keeps of its data."""

    identity: Identity | None
    """None: the run was made by a version that recorded no identity, and held out items by position."""
    assets: Assets
    """Its class names, its vocabulary, ..."""


class Division(NamedTuple):
    """The rows of a collection that are trained on and those that are held out; some may be neither."""

    train: np.ndarray
    test: np.ndarray
    identity: Identity


_RECORDED: ContextVar[Recorded | None] = ContextVar("recorded", default=None)


@contextlib.contextmanager
def as_recorded(recorded: Recorded | None) -> Iterator[None]:
    """Divide data sets, number classes and encode texts in the block as a run has recorded it.

    Items that the run does not know, or knows with other content, are left out. None: load the data as for a new run.
    """
    token = _RECORDED.set(recorded)
    try:
        yield
    finally:
        _RECORDED.reset(token)


def recorded() -> Recorded | None:
    """Return the record of the run whose data are loaded; None: they are loaded for a new run."""
    return _RECORDED.get()


def recorded_asset(name: str) -> Any:
    """Return an asset of the run whose data are loaded; None: it has no such asset, or a new run begins."""
    found = recorded()
    return None if found is None else found.assets.get(name)


def divide(
    names: Sequence[str], digests: Sequence[str], fraction: float | None, *, keys: Sequence[str] | None = None
) -> Division:
    """Divide items into those to train on and those that are held out.

    Args:
      names: [N] distinct names, by which the items are recognized.
      digests: [N] digests of the items' content.
      fraction: see `held_out`.
      keys: [N] keys by which items are held out, all items of a key together; None: the names.
    """
    found, known = dict(zip(names, digests, strict=True)), recorded()
    if known is None or known.identity is None:
        keys = names if keys is None else keys
        distinct = list(dict.fromkeys(keys))
        choose = held_out if known is None else _held_out_by_position
        chosen = dict(zip(distinct, choose(distinct, fraction), strict=True))
        test = np.array([chosen[key] for key in keys], bool)
        train = ~test
    else:
        train, test = (
            np.array([split.get(name) == value for name, value in found.items()], bool)
            for split in (known.identity.train, known.identity.test)
        )
        for rows, split, what in ((train, known.identity.train, "trained on"), (test, known.identity.test, "held out")):
            if split and not rows.any():
                raise UserError(
                    f"Nothing is left of what the run {'was ' if rows is train else ''}{what}: none of its "
                    f"{len(split):,} items is there unchanged. Bring them back."
                )
    parts = [{names[i]: digests[i] for i in np.flatnonzero(rows).tolist()} for rows in (train, test, ~(train | test))]
    return Division(np.flatnonzero(train), np.flatnonzero(test), Identity({}, *parts))


def held_out(keys: Sequence[str], fraction: float | None) -> np.ndarray:
    """Return bool [N]: which of some distinct keys are held out, about one in `round(1 / fraction)`.

    Each key is chosen by its own hash alone, so that adding a key moves no other. If this would hold out no key, the
    one with the smallest hash is held out, and if it would leave none, the one with the largest is not.

    Args:
      fraction: between 0 (none) and 0.5; None: 1 in 20 of 100 or more, else none.

    Raises:
      UserError: the fraction is out of range.
    """
    every = _every(len(keys), fraction)
    if every is None or len(keys) < 2:
        return np.zeros(len(keys), bool)
    places = np.array([int(digest(key)[:13], 16) / 16**13 for key in keys])  # exact in float64
    chosen = places < 1.0 / every
    chosen[np.argmin(places)] = True
    chosen[np.argmax(places)] = False
    return chosen


def _held_out_by_position(keys: Sequence[str], fraction: float | None) -> np.ndarray:
    """Hold out the last of every `round(1 / fraction)` items, as in runs that have not recorded their data."""
    every = _every(len(keys), fraction)
    return np.zeros(len(keys), bool) if every is None else np.arange(len(keys)) % every == every - 1


def _every(count: int, fraction: float | None) -> int | None:
    if fraction is None:
        fraction = 0.05 if count >= HELD_OUT_FROM else 0.0
    if not 0.0 <= fraction <= 0.5:
        raise UserError(f"The test fraction must lie between 0 and 0.5, not {fraction}.")
    return None if fraction == 0.0 else round(1.0 / fraction)
