"""What reaches the terminal: no control character of a name or a text, no markup, and nothing that cannot be encoded.

What jaxgen prints goes through `printable` or through a `console`; command lines call `encode_anything` first.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import re
import sys
from collections.abc import Iterable, Iterator
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, those that turn the direction of writing, and halves of surrogate pairs (bytes of file names)."""
_ESCAPES = {"\n": r"\n", "\t": r"\t", "\r": r"\r"}
_PLAIN = str.maketrans("─━│┃╭╮╰╯┌┐└┘├┤┬┴┼╺╸•…—–±", "--||+++++++++++++--*.--~")
"""What stands in for drawn lines and the like where the terminal knows only ASCII."""
_LONGEST_NAME = 200


def printable(text: object, *, keep: str = "") -> str:
    """Return text in which control characters are spelled out (`\\x1b`), all but those in `keep`."""

    def escaped(found: re.Match[str]) -> str:
        character = found[0]
        if character in keep:
            return character
        code = ord(character)
        if 0xDC80 <= code <= 0xDCFF:  # a byte of a file name that is no UTF-8
            code -= 0xDC00
        return _ESCAPES.get(character) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")

    return _UNSAFE.sub(escaped, str(text))


def one_line(text: str) -> str:
    """Return a sentence in which every character that cannot be seen is an escape: those too that a text may have."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def tell(text: str) -> None:
    """Print one line on stdout, whatever is in it."""
    print(printable(text), flush=True)


def shortened(name: object) -> str:
    """Return a name with its middle left out where it is too long for a sentence."""
    text = str(name)
    half = _LONGEST_NAME // 2
    return text if len(text) <= _LONGEST_NAME else f"{text[:half]}...{text[-half:]}"


def encode_anything() -> None:
    """Let the process's streams take every text: what their encoding lacks is drawn in ASCII, or spelled out.

    What is printed on a stream that was closed before the process began (`>&-`) goes nowhere.
    """
    codecs.register_error("jaxgen", _replacement)
    _replace_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="jaxgen")


def _replace_closed_streams() -> None:
    closed = [name for name in ("stdout", "stderr") if getattr(sys, name) is None]
    if not closed:
        return
    while (nowhere := os.open(os.devnull, os.O_RDWR)) <= 2:  # else the next file opened gets what libraries print
        pass
    os.close(nowhere)
    for name in closed:
        setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8"))


def _replacement(error: UnicodeError) -> tuple[str | bytes, int]:
    if isinstance(error, UnicodeEncodeError):
        plain = error.object[error.start : error.end].translate(_PLAIN)
        return plain.encode("ascii", "backslashreplace").decode("ascii"), error.end
    return codecs.backslashreplace_errors(error)


def console(*, stderr: bool = False, **options: Any) -> Console:
    """Return a console of rich that takes every text as it is: no markup, no emoji codes, no control characters."""
    from rich.console import Console
    from rich.text import Text

    class PlainConsole(Console):
        def render_str(self, text: str, **options: Any) -> Text:
            return super().render_str(printable(text, keep="\n"), **options)

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    return PlainConsole(stderr=stderr, **{"markup": False, "emoji": False, "highlight": False, **options})


def discard(stream: IO[str]) -> None:
    """Send what is still written to a stream of the process to nowhere: its reader is gone, or its disk is full."""
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError, AttributeError):  # no stream of the process, but one that stands in for it
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


@contextlib.contextmanager
def spelled_out(texts: Iterable[str]) -> Iterator[None]:
    """Where one of the texts has control characters, spell them out in all that the block prints."""
    if all(printable(text) == text for text in texts):
        yield
        return
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            yield
    finally:
        for text, stream in ((out, sys.stdout), (err, sys.stderr)):
            stream.write(printable(text.getvalue(), keep="\n"))
