"""Captions from files: a text file beside each image, or one table for a folder."""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from jaxgen.core.errors import UserError
from jaxgen.data.text_file import normalized, read_text_file

TABLES = ("captions.csv", "captions.jsonl", "metadata.csv", "metadata.jsonl")
"""Names of tables, in lower or upper case; the first that a folder has is read."""
_COLUMNS = {"file": ("file", "file_name"), "caption": ("caption", "text")}
_SEPARATORS = (",", ";", "\t")
_NEEDED = "a table of captions needs file (or file_name) and caption (or text)"


def read_caption_lines(path: Path) -> list[str]:
    """Return the captions in a text file, one a line; blank lines are skipped."""
    return [line.strip() for line in read_text_file(path).split("\n") if line.strip()]


def find_table(folder: Path) -> Path | None:
    """Return the table of captions of a folder; None: the folder has no table."""
    found = {path.name.lower(): path for path in sorted(folder.iterdir(), reverse=True) if path.is_file()}
    return next((found[name] for name in TABLES if name in found), None)


def file_key(name: str) -> str:
    r"""Return the name by which a row and a file are matched: `cats/1.png` for `.\cats\1.png`.

    Different Unicode spellings of a name, as macOS and other systems write them, have the same key.
    """
    return normalized(name.strip().replace("\\", "/")).removeprefix("./")


def read_table(path: Path) -> dict[str, list[str]]:
    """Return the captions of each file, one for each row, by the file's `file_key`.

    A .csv file is in the form in which spreadsheets save it: its first row names the columns (in any case), which are
    separated by commas, semicolons or tabs. A .jsonl file has an object on each line. Columns are `file` (or
    `file_name`) and `caption` (or `text`); others are ignored.

    Raises:
      UserError: the file cannot be read, or a row has no file or no caption; the message names its line.
    """
    text = read_text_file(path)
    rows = _csv_rows(text, path) if path.suffix.lower() == ".csv" else _json_rows(text, path)
    found: dict[str, list[str]] = {}
    for line, fields in rows:
        values = {what: next((fields[n] for n in names if fields.get(n)), "") for what, names in _COLUMNS.items()}
        for what, value in values.items():
            if not value.strip():
                has = f" It has {_listed(fields)}." if not set(fields) & set(_COLUMNS[what]) else ""
                raise UserError(f"Line {line} of {path} has no {what}: {_NEEDED} in each row.{has}")
        found.setdefault(file_key(values["file"]), []).append(normalized(values["caption"]))
    if not found:
        raise UserError(f"{path} has no rows: {_NEEDED} in each row.")
    return found


def _csv_rows(text: str, path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line, values by column) for each row that is not blank."""
    separator = re.match(r"\s*sep=([,;\t])\n", text)  # a hint that spreadsheets write for themselves
    separators = _SEPARATORS if separator is None else (separator[1],)
    start = 0 if separator is None else separator.end()
    header, chosen = _header(text[start:], separators, path)
    reader = csv.reader(io.StringIO(text[start:], newline=""), delimiter=chosen, strict=True)
    lines_before = text.count("\n", 0, start)
    try:
        rows = ((reader.line_num + lines_before, row) for row in reader if any(cell.strip() for cell in row))
        next(rows)
        for line, row in rows:
            if any(cell.strip() for cell in row[len(header) :]):
                raise UserError(
                    f"Line {line} of {path} has {len(row)} values for {len(header)} columns: put values that hold a "
                    f"{chosen!r} in double quotes."
                )
            yield line, dict(zip(reversed(header), reversed((row + [""] * len(header))[: len(header)]), strict=True))
    except csv.Error as error:
        raise UserError(f"Line {reader.line_num + lines_before} of {path} is no row of a table: {error}.") from error


def _header(text: str, separators: tuple[str, ...], path: Path) -> tuple[list[str], str]:
    """Return the names of the columns and the first separator that yields both columns needed."""
    seen: list[str] = []
    for separator in separators:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        try:
            row = next((row for row in reader if any(cell.strip() for cell in row)), [])
        except csv.Error as error:
            raise UserError(f"Line {reader.line_num} of {path} is no row of a table: {error}.") from error
        header = [cell.strip().lower() for cell in row]
        if all(set(header) & set(names) for names in _COLUMNS.values()):
            return header, separator
        seen = max(seen, header, key=len)
    lacking = " and no ".join(what for what, names in _COLUMNS.items() if not set(seen) & set(names))
    raise UserError(f"{path} has no {lacking} among its columns, which are {_listed(seen)}: {_NEEDED}.")


def _json_rows(text: str, path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line, strings by name) for each line that is not blank; numbers are kept as they are written."""
    for line, content in enumerate(text.split("\n"), 1):
        if not content.strip():
            continue
        try:
            fields = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise UserError(f"Line {line} of {path} is no JSON ({error}): mend it.") from error
        if not isinstance(fields, dict):
            raise UserError(f"Line {line} of {path} is no JSON object: {_NEEDED} in each row.")
        columns = [name for names in _COLUMNS.values() for name in names]
        yield line, {name: _string(fields[name], name, line, path) if name in columns else "" for name in fields}


def _string(value: object, name: str, line: int, path: Path) -> str:
    if value is None:
        return ""
    if isinstance(value, bool | list | dict):
        raise UserError(f"Line {line} of {path} has a {name} that is no text but {type(value).__name__}: {_NEEDED}.")
    return str(value)


def _listed(names: Iterable[str]) -> str:
    """Return names for a message, at most the first eight."""
    names = list(names)
    return (", ".join(names[:8]) + (", ..." if len(names) > 8 else "")) or "none"
