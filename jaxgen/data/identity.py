"""The identity of a data set, names and digests of its items, by which a run recognizes its data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from jaxgen.core.terminal import printable
from jaxgen.core.types import Json
from jaxgen.data.content_digests import digest

_NAMED = 3  # names listed for each kind of change


@dataclass(frozen=True)
class Identity:
    """The items of a data set, by names and digests."""

    wholes: Mapping[str, str] = field(default_factory=dict)
    """Name -> digest or version of each part taken as a whole: a text, an embedded set."""
    train: Mapping[str, str] = field(default_factory=dict)
    """Name -> digest of each training item (a picture by its path in the folder, a pair by its name)."""
    test: Mapping[str, str] = field(default_factory=dict)
    """Name -> digest of each held-out item."""
    unused: Mapping[str, str] = field(default_factory=dict)
    """Name -> digest of each item that a reopened run does not know, or knows with another digest."""

    @property
    def items(self) -> dict[str, str]:
        """All items of all splits."""
        return {**self.train, **self.test, **self.unused}

    @property
    def fingerprint(self) -> str:
        """Digest of all names and contents, whichever split they are in."""
        parts = (self.wholes, self.items)
        return digest(
            *(text for part in parts for text in ("", *(f"{value} {name}" for name, value in sorted(part.items()))))
        )

    def __or__(self, other: "Identity") -> "Identity":
        parts = ("wholes", "train", "test", "unused")
        return Identity(*({**getattr(self, part), **getattr(other, part)} for part in parts))

    def to_json(self) -> Json:
        """Return the values that `identity_from_json` reads."""
        return {part: dict(getattr(self, part)) for part in ("wholes", "train", "test")}


def identity_from_json(values: object) -> Identity:
    """Return the identity from the values of `Identity.to_json`.

    Raises:
      ValueError: the values have another structure.
    """
    parts = ("wholes", "train", "test")
    found: list[dict[str, str]] = []
    for part in parts:
        items = values.get(part) if isinstance(values, dict) else None
        if not isinstance(items, dict) or not all(isinstance(value, str) for value in items.values()):
            raise ValueError(f"{part} is no table of names and digests")
        found.append(items)
    return Identity(*found)


def identity_of_arrays(*splits: Mapping[str, np.ndarray] | None) -> Identity:
    """Return the identity of arrays in memory, as a whole."""
    parts: list[bytes | str] = []
    for split in splits:
        for name, values in sorted((split or {}).items()):
            values = np.ascontiguousarray(values)
            parts += [name, f"{values.dtype} {values.shape}", values.data.cast("B") if values.size else b""]
    return Identity({"arrays": digest(*parts)})


def changes(before: Identity, now: Identity) -> str | None:
    """Return the changes of a data set, such as "2 added (a.png, b.png), 1 changed (c.png)"; None: no changes.

    Args:
      before: the identity that a run recorded.
      now: the identity found now.
    """
    old, new = before.items, now.items
    kinds = {
        "added": sorted(new.keys() - old.keys()),
        "removed": sorted(old.keys() - new.keys()),
        "changed": sorted(name for name in old.keys() & new.keys() if old[name] != new[name]),
    }
    parts = [f"{len(names):,} {kind} ({_few(names)})" for kind, names in kinds.items() if names]
    wholes = sorted({*before.wholes, *now.wholes})
    if other := [name for name in wholes if before.wholes.get(name) != now.wholes.get(name)]:
        parts.append(f"{_few(other)} changed")
    if not parts and (moved := [name for name in before.test if name not in now.test]):
        parts.append(f"{len(moved):,} that were held out would be trained on ({_few(moved)})")
    return ", ".join(parts) or None


def _few(names: Sequence[str]) -> str:
    return ", ".join(map(printable, names[:_NAMED])) + (", ..." if len(names) > _NAMED else "")
