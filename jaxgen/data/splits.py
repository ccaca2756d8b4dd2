"""Which items of a data set are held out: by their names, or as a run that is opened again has recorded it."""

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
"""Collections with fewer items than this give no test split unless a fraction is asked for."""


class Recorded(NamedTuple):
    """What a run recorded of its data."""

    identity: Identity | None
    """None: the run was made by a version that recorded nothing, and held out by position."""
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
    """Within the block, data sets are divided, classes numbered and texts written as a run has recorded it.

    What the run does not know, or knows with another content, is left out. None: as if no run were opened.
    """
    token = _RECORDED.set(recorded)
    try:
        yield
    finally:
        _RECORDED.reset(token)


def recorded() -> Recorded | None:
    """Return what the run whose data are loaded has recorded; None: they are those of a new run."""
    return _RECORDED.get()


def recorded_asset(name: str) -> Any:
    """One of its assets; None: it has none of that name, or a new run begins."""
    found = recorded()
    return None if found is None else found.assets.get(name)


def divide(
    names: Sequence[str], digests: Sequence[str], fraction: float | None, *, keys: Sequence[str] | None = None
) -> Division:
    """Divide items into those to train on and those that are held out.

    Args:
      names: [N], different from each other, by which the items are known again.
      digests: [N], of what they hold.
      fraction: see `held_out`.
      keys: [N], by which they are held out, those of one key together; None: the names.
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
    """bool [N]: which of some different keys are held out, about one in `round(1 / fraction)`.

    Each is chosen by a hash of itself alone, so that one more key moves no other. Where that would hold out none, the
    key with the least hash is held out, and where it would leave none, the one with the greatest is not.

    Args:
      fraction: between 0 (none) and 0.5; None: 1 in 20 of 100 or more, else none.

    Raises:
      UserError: a fraction out of range.
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
    """As runs did that have not recorded their data: the last of every `round(1 / fraction)`."""
    every = _every(len(keys), fraction)
    return np.zeros(len(keys), bool) if every is None else np.arange(len(keys)) % every == every - 1


def _every(count: int, fraction: float | None) -> int | None:
    if fraction is None:
        fraction = 0.05 if count >= HELD_OUT_FROM else 0.0
    if not 0.0 <= fraction <= 0.5:
        raise UserError(f"The test fraction must lie between 0 and 0.5, not {fraction}.")
    return None if fraction == 0.0 else round(1.0 / fraction)
