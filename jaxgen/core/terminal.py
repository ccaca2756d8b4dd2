"""Output to the terminal without control characters from names or texts, markup, or unencodable characters.

All output of jaxgen goes through `printable` or a `console`; command lines call `encode_anything` first.
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
"""Control characters, characters that change the writing direction, and surrogates (bytes of file names)."""
_ESCAPES = {"\n": r"\n", "\t": r"\t", "\r": r"\r"}
_PLAIN = str.maketrans("─━│┃╭╮╰╯┌┐└┘├┤┬┴┼╺╸•…—–±", "--||+++++++++++++--*.--~")
"""ASCII replacements of drawn lines and similar characters for terminals that know only ASCII."""
_LONGEST_NAME = 200


def printable(text: object, *, keep: str = "") -> str:
    """Return text with control characters escaped (`\\x1b`), except those in `keep`."""

    def escaped(found: re.Match[str]) -> str:
        character = found[0]
        if character in keep:
            return character
        code = ord(character)
        if 0xDC80 <= code <= 0xDCFF:  # a byte of a file name that is not UTF-8
            code -= 0xDC00
        return _ESCAPES.get(character) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")

    return _UNSAFE.sub(escaped, str(text))


def one_line(text: str) -> str:
    """Return a sentence in which every invisible character is escaped, including those that a longer text may have."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def tell(text: str) -> None:
    """Print one line on stdout, whatever it contains."""
    print(printable(text), flush=True)


def shortened(name: object) -> str:
    """Return a name with its middle left out if it is too long for a sentence."""
    text = str(name)
    half = _LONGEST_NAME // 2
    return text if len(text) <= _LONGEST_NAME else f"{text[:half]}...{text[-half:]}"


def encode_anything() -> None:
    """Let the process's streams take every text: characters that their encoding lacks become ASCII or are escaped.

    Output to a stream that was closed before the process began (`>&-`) is discarded.
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
    while (nowhere := os.open(os.devnull, os.O_RDWR)) <= 2:  # otherwise libraries print into the next file opened
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
    """Return a rich console that prints every text as it is: no markup, no emoji codes, no control characters."""
    from rich.console import Console
    from rich.text import Text

    class PlainConsole(Console):
        def render_str(self, text: str, **options: Any) -> Text:
            return super().render_str(printable(text, keep="\n"), **options)

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    return PlainConsole(stderr=stderr, **{"markup": False, "emoji": False, "highlight": False, **options})


def discard(stream: IO[str]) -> None:
    """Discard the unwritten output of a stream of the process whose reader is gone or whose disk is full."""
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError, AttributeError):  # not a stream of the process but a substitute
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


@contextlib.contextmanager
def spelled_out(texts: Iterable[str]) -> Iterator[None]:
    """Escape control characters in all that the block prints if one of the texts has any."""
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
