"""Reading a text file, with the same characters from every editor and system."""

import codecs
import re
import unicodedata
from pathlib import Path

from jaxgen.core.errors import UserError
from jaxgen.data.limits import check_file, check_memory, limit_bytes

_MARKS = (  # UTF-32's before UTF-16's, since it begins with that
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_CHARACTER_BYTES = 4
"""Maximum number of bytes of a character in memory."""


def read_text_file(path: str | Path) -> str:
    """Return the text of a file, as `normalized`.

    The encoding is UTF-8, or that of a byte order mark at the beginning (UTF-8, UTF-16, UTF-32), which is not part of
    the text.

    Raises:
      UserError: the file does not exist, is not a regular file, has another encoding or a NUL (as binary files have),
        or takes more than the limit of `jaxgen.data.limits`.
    """
    path = Path(path)
    check_file(path)
    try:
        most = limit_bytes() // _CHARACTER_BYTES
        check_memory(_CHARACTER_BYTES * path.stat().st_size, f"The text {path}")
        with path.open("rb") as file:
            content = file.read(most + 1)
        check_memory(_CHARACTER_BYTES * len(content), f"The text {path}")
    except OSError as error:
        raise UserError(f"The text {path} cannot be read ({error.strerror or error}): check the path.") from error
    return normalized(_decoded(content, path))


def normalized(text: str) -> str:
    r"""Return a text in the form of all texts, captions and prompts: Unicode's normal form C, with "\n" as line ends.

    A character that can be written in two ways, such as é, thus has one form, and a prompt is written like the text
    that a model was trained on. Text already in this form is returned unchanged.

    Raises:
      UserError: the text has a surrogate (half a character), as non-UTF-8 bytes of a command line become.
    """
    if (place := _SURROGATE.search(text)) is not None:
        around = text[max(0, place.start() - 20) : place.end() + 20]
        raise UserError(f"The text {around!r} holds what is no character: write it in UTF-8.")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text if unicodedata.is_normalized("NFC", text) else unicodedata.normalize("NFC", text)


def _decoded(content: bytes, path: Path) -> str:
    mark, encoding = next(((mark, name) for mark, name in _MARKS if content.startswith(mark)), (b"", "utf-8"))
    content = content[len(mark) :]
    if encoding == "utf-8" and (place := content.find(b"\0")) >= 0:
        raise UserError(f"{path} is no text: it has a NUL ({_place(content, place, mark)}). {_hint(content)}")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        where = _place(content, error.start, mark)
        if mark != b"":
            name = encoding.upper().removesuffix("-LE").removesuffix("-BE")
            raise UserError(f"{path} begins with the mark of {name} but is damaged ({where}): save it again.") from None
        raise UserError(f"{path} is no text in UTF-8 ({where}). {_hint(content)}") from None
    if (place := text.find("\0")) >= 0:
        raise UserError(f"{path} is no text: character {place + 1} is a NUL. Name a text file.")
    return text


def _place(content: bytes, byte: int, mark: bytes) -> str:
    """Return the position of a byte; lines are counted from 1, bytes from 0 and from the beginning of the file."""
    before = content[:byte]
    lines = before.count(b"\n") + before.count(b"\r") - before.count(b"\r\n")
    return f"line {lines + 1:,}, byte {byte + len(mark):,}"


def _hint(content: bytes) -> str:
    """Return a sentence on what a file that is not UTF-8 may be, and what to do."""
    sample = content[:4096]
    nulls = sample.count(0)
    halves = [sample[i::2].count(0) for i in range(2)]
    if nulls > len(sample) // 4 and min(halves) < nulls // 8:
        kind = "UTF-16LE" if halves[1] > halves[0] else "UTF-16BE"
        return f"It looks like UTF-16 without its mark: convert it (iconv -f {kind} -t UTF-8)."
    controls = sum(byte < 32 and byte not in b"\t\n\v\f\r\x1b" for byte in sample)
    if controls:
        return "It looks like a binary file: name a text file."
    return "It may be in an older encoding such as Latin-1: convert it (iconv -f WINDOWS-1252 -t UTF-8)."
