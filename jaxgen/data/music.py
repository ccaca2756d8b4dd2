"""Tunes in ABC notation: Ryan's Mammoth Collection (1883), 1,059 reels, jigs, hornpipes, ..., from music21."""

import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jaxgen.core.errors import UserError
from jaxgen.data.text_file import read_text_file

if TYPE_CHECKING:
    import music21

NAME = "ryans_mammoth"
BETWEEN = "\n\n"
"""Separator of tunes, which marks where one ends."""
_FIELDS = ("R", "M", "L", "K")
"""Rhythm, meter, unit of length, key; other fields say who copied a tune, and from where."""
_ANNOTATION = re.compile(r'"[^"\n]*"|![^!\n]*!|[uv]')  # words and fingerings above the notes, ornaments, bows
_FIELD = re.compile(r"^([A-Za-z]):\s*(.*)$")


def tunes() -> list[str]:
    """Return every tune: a line for each of its fields R:, M:, L: and K:, then its notes, without annotations.

    Raises:
      UserError: music21 is not installed.
    """
    try:
        folder = Path(str(resources.files("music21"))) / "corpus" / "ryansMammoth"
    except ModuleNotFoundError as error:
        raise UserError("Tunes come with the package music21: pip install 'jaxgen[music]'.") from error
    return [clean_tune(read_text_file(path)) for path in sorted(folder.glob("*.abc"))]


def clean_tune(abc: str) -> str:
    """Return only the music of a tune in ABC notation."""
    head, notes = {}, []
    for line in abc.replace("\\\n", "\n").splitlines():
        field = _FIELD.match(line)
        if field and field[1] in _FIELDS and not (notes and field[1] == "R"):
            if notes:  # a change of key or meter within the tune
                notes.append(f"{field[1]}:{field[2].strip()}")
            else:
                head[field[1]] = field[2].strip()
        elif not field and (line := _ANNOTATION.sub("", line.split("%")[0]).strip()):
            notes.append(line)
    return "\n".join([f"{name}:{head[name]}" for name in _FIELDS if name in head] + notes)


def split_tunes(all_tunes: Sequence[str], held_out: int = 10) -> tuple[str, str]:
    """Return (training text, test text), each tune followed by `BETWEEN`; one tune in `held_out` is a test tune."""
    order = np.random.default_rng(0).permutation(len(all_tunes))
    parts = order[len(all_tunes) // held_out :], order[: len(all_tunes) // held_out]
    train, test = ("".join(all_tunes[int(i)] + BETWEEN for i in part) for part in parts)
    return train, test


def read_tune(abc: str) -> "music21.stream.Stream":
    """Return a tune as music21's `Score`.

    Raises:
      UserError: the text is not ABC notation with at least one note.
    """
    import music21

    try:
        score = music21.converter.parse("X:1\n" + abc.strip() + "\n", format="abc")
    except Exception as error:  # a parser may raise anything on text that a network wrote
        raise UserError(f"The tune cannot be read as ABC notation ({type(error).__name__}): draw another.") from error
    if not score.recurse().notes:
        raise UserError("The tune cannot be read as ABC notation (it has no notes): draw another.")
    return score


def write_midi(abc: str, path: Path) -> None:
    """Write a tune as a MIDI file.

    Raises:
      UserError: the text cannot be read as a tune, see `read_tune`.
    """
    read_tune(abc).write("midi", fp=str(path))


def bars_of_right_length(abc: str) -> tuple[int, int]:
    """Return how many bars of a tune are as long as its first meter requires, and how many bars it has.

    The first and the last bar, and those before and after a repeat, may be upbeats and are left out. A bar that is too
    long is split by music21 and counts as one right and one wrong bar. For text that is not a tune return (0, 0).
    """
    try:
        bars = list(read_tune(abc).recurse().getElementsByClass("Measure"))
        meter = bars[0].barDuration.quarterLength
        lengths = [bar.duration.quarterLength for bar in bars]
    except Exception:  # including music21's own errors, for meters that a network made up
        return 0, 0
    ends = [any(_repeats(line) for line in (bar.leftBarline, bar.rightBarline)) for bar in bars]
    inner = [i for i in range(1, len(bars) - 1) if not any(ends[i - 1 : i + 2])]
    return sum(lengths[i] == meter for i in inner), len(inner)


def _repeats(line: "music21.bar.Barline | None") -> bool:
    return line is not None and "Repeat" in line.classes
