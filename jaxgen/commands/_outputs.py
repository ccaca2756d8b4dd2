"""Output files of commands: checked before the work, written whole or not at all, replaced only with --overwrite.

This module imports nothing that takes time (see `jaxgen.core.command_line`).
"""

import contextlib
import os
import shlex
import shutil
import tempfile
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from jaxgen.core import files
from jaxgen.core.errors import UserError
from jaxgen.core.terminal import shortened

SMALL = 100_000
"""Number of bytes that any output may take."""

_unfinished: list[Path] = []
_written: list[Path] = []


@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """Options about output files that exist."""

    overwrite: bool = False
    """Replace output files that exist. Otherwise the command stops before its work and names a free output."""


def check_output(
    out: Path,
    suffixes: Sequence[str],
    *,
    overwrite: bool,
    beside: Sequence[str] = (),
    inputs: Sequence[Path] = (),
    size: int = SMALL,
) -> None:
    """Refuse an output file before any work is done.

    Args:
      suffixes: the suffixes that can be written, in lower case.
      beside: suffixes of files that are written beside it, under the same name.
      inputs: the files that are read, none of which is ever replaced.
      size: lower bound of the number of bytes to write.

    Raises:
      UserError: another suffix, or a file that `check_files` refuses.
    """
    if out.suffix.lower() not in suffixes:
        raise UserError(f"--out {shortened(out)} must end in {' or '.join(suffixes)}.")
    if not out.absolute().parent.is_dir():
        raise UserError(f"The folder of --out {shortened(out)} does not exist: make it, or choose another.")
    check_files([out, *map(out.with_suffix, beside)], out, overwrite=overwrite, inputs=inputs, size=size)


def check_output_folder(
    images: Sequence[Path], folder: Path, *, overwrite: bool, inputs: Sequence[Path] = (), also: Sequence[str] = ()
) -> list[Path]:
    """Return the .png files of a folder to which images are written, each under its own name.

    Args:
      inputs: other files that are read; the images are inputs in any case.
      also: ends of the names of further files that are written beside every image.

    Raises:
      UserError: two images would become one file, or `check_files` refuses a file.
    """
    outputs = [folder / f"{image.stem}.png" for image in images]
    source: dict[str, Path] = {}
    for image, output in zip(images, outputs, strict=True):
        for written in (output, *(output.with_stem(output.stem + end) for end in also)):
            other = source.setdefault(_as_one_name(written), image)
            if other is not image:
                raise UserError(
                    f"Two images would become one file, {shortened(written)}: {shortened(other)} and "
                    f"{shortened(image)}. Take them one after the other, to different --out."
                )
    written = [output.with_stem(output.stem + end) for output in outputs for end in ("", *also)]
    check_files(written, folder, overwrite=overwrite, inputs=[*images, *inputs])
    return outputs


def check_new_folder(folder: Path) -> None:
    """Refuse an output folder that exists already, unless it is empty.

    Raises:
      UserError: the folder exists and is not empty, or `check_files` refuses it.
    """
    if os.path.lexists(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"--out {shortened(folder)} exists and is not an empty folder: choose another.")
    check_files([folder / "x"], folder, overwrite=False)


def check_files(
    paths: Sequence[Path], out: Path, *, overwrite: bool, inputs: Sequence[Path] = (), size: int = SMALL
) -> None:
    """Refuse files that cannot or should not be written. Their folders may be made later.

    Args:
      out: the value of --out, the file itself or the folder.

    Raises:
      UserError: a file that exists without `overwrite`, or is an input; a name that is too long; a folder that cannot
        be written; a disk without room.
    """
    read = {(found.st_dev, found.st_ino) for path in inputs if (found := _stat(path)) is not None}
    for path in paths:
        found = _stat(path)
        if found is not None and (found.st_dev, found.st_ino) in read:
            raise UserError(f"{shortened(path)} is one of the inputs, which are never replaced: choose another --out.")
        if os.path.lexists(path):
            if found is not None and not path.is_file():
                raise UserError(f"--out: {shortened(path)} exists and is no file: choose another.")
            if not overwrite:
                raise UserError(
                    f"{shortened(path)} exists: give --overwrite to replace it, or another output "
                    f"(--out {shlex.quote(shortened(_free(out)))} is free)."
                )
    for folder in {path.absolute().parent for path in paths}:
        _check_writable(folder, out, max(len(os.fsencode(p.name)) for p in paths if p.absolute().parent == folder))
        if (free := shutil.disk_usage(_existing(folder)).free) < size:
            raise UserError(f"The disk of --out {shortened(out)} has {free:,} bytes left, too few: make room.")


def _check_writable(folder: Path, out: Path, longest_name: int) -> None:
    existing = _existing(folder)
    if not existing.is_dir():
        raise UserError(f"--out {shortened(out)}: {shortened(existing)} is a file, not a folder: choose another.")
    try:
        if longest_name > os.pathconf(existing, "PC_NAME_MAX"):
            raise UserError(f"The name of --out {shortened(out)} is too long for this disk: choose a shorter one.")
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        why = files.explain(OSError(error.errno, error.strerror))
        raise UserError(f"The folder of --out {shortened(out)} cannot be written ({why}): choose another.") from error


def _existing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    while not os.path.lexists(folder):
        folder = folder.parent
    return folder


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _as_one_name(path: Path) -> str:
    """Return a form of the name that is equal for names that some file systems do not distinguish."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", str(path)).casefold())


def _free(out: Path) -> Path:
    """Return a path similar to `out` at which nothing exists."""
    number = 2
    while os.path.lexists(candidate := out.with_stem(f"{out.stem}_{number}")):
        number += 1
    return candidate


# ---------------------------------------------------------------- writing


@contextlib.contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Yield the path of a new file with the same suffix, which becomes `path` when the block ends without an error.

    The folder is made if it does not exist. If `path` is a symbolic link, the link is replaced and not followed.

    Raises:
      UserError: the file cannot be written; then nothing is left of it.
    """
    with _explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with files.replacing(path) as part:
            _unfinished.append(part)
            yield part
    _written.append(path)


@contextlib.contextmanager
def writing_folder(folder: Path) -> Iterator[Path]:
    """Yield the path of a new, empty folder, which becomes `folder` when the block ends without an error.

    Raises:
      UserError: the folder cannot be written; then nothing is left of it.
    """
    with _explained(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = files.fresh_name(folder)
        part.mkdir()
        _unfinished.append(part)
        try:
            yield part
            os.replace(part, folder)
        except BaseException:
            files.remove_tree(part)
            raise
    _written.append(folder)


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = files.explain(OSError(error.errno, error.strerror))
        raise UserError(f"{shortened(path)} cannot be written: {why}.") from error
    finally:
        _unfinished.clear()


def forget() -> None:
    """Forget the files written so far, at the beginning of a command."""
    _unfinished.clear()
    _written.clear()


def remove_unfinished() -> None:
    """Remove files that are half-written."""
    for part in list(_unfinished):
        with contextlib.suppress(OSError):
            files.remove_tree(part)


def stopped() -> str:
    """Return the message when a signal ends a command."""
    if not _written:
        return "stopped; nothing was written"
    more = f" and {len(_written) - 1} more" if len(_written) > 1 else ""
    return f"stopped; written: {shortened(_written[0])}{more}"
