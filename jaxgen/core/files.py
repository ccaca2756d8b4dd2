"""File operations that leave either the old file or the new one, and follow no symbolic link.

Content is written to a fresh file in the same folder, which then replaces the target by a rename: a killed process, a
full disk or a planted link damages neither the old file nor any other. Nothing is removed through a link.
"""

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from jaxgen.core.errors import UserError

_PART = ".part-"
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)  # otherwise opening a pipe waits for the other end
_LONGEST_STEM = 100

_SAYINGS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file would be larger than this process may write (ulimit -f)",
    errno.EROFS: "the disk is mounted read-only",
    errno.EACCES: "this is not permitted",
    errno.EPERM: "this is not permitted",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ELOOP: "it is a symbolic link, and links are not followed when files are written",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
    errno.EISDIR: "it is a folder",
    errno.ENOENT: "it does not exist (any more)",
    errno.EMFILE: "too many files are open (ulimit -n)",
    errno.ENXIO: "it is no regular file",  # a pipe
    errno.EIO: "the disk reports an error",
}


def explain(error: OSError) -> str:
    """Return a description of what went wrong with a file, with the file's name if the error has one."""
    why = _SAYINGS.get(error.errno or 0, error.strerror or str(error) or type(error).__name__)
    return f"{os.fsdecode(error.filename)}: {why}" if isinstance(error.filename, str | bytes) else why


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield the path of a fresh, empty file in the same folder (with the same ending), which becomes `path` at the end.

    If the block raises, nothing is left behind and `path` is unchanged.
    """
    path = Path(path)
    part = fresh_name(path)
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW, 0o666))
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write a whole file, so that there is either the old one or the new one. Text is written as UTF-8."""
    with replacing(path) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)


@contextlib.contextmanager
def moved_into(folder: Path) -> Iterator[Path]:
    """Yield a fresh folder inside `folder`; the files put into it move into `folder` at the end.

    `folder` is created if necessary, but not its parents. Files of the same names are replaced. If the block raises,
    nothing is left behind.

    Raises:
      OSError: `folder` is a symbolic link, or cannot be written.
    """
    folder = Path(folder)
    refuse_link(folder)
    folder.mkdir(exist_ok=True)
    part = fresh_name(folder / "files")
    part.mkdir()
    try:
        yield part
        for path in sorted(part.iterdir()):
            os.replace(path, folder / path.name)
    finally:
        with contextlib.suppress(OSError):
            remove_tree(part)


def open_for_append(path: Path) -> IO[str]:
    """Open a text file (UTF-8) to append to; it is created if necessary. Symbolic links are not followed."""
    descriptor = _open_regular(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | _NO_FOLLOW)
    return open(descriptor, "a", encoding="utf-8", newline="\n")


def read_bytes(path: Path, most: int = 2**28) -> bytes:
    """Return the content of a file.

    Raises:
      UserError: the file cannot be read, or is larger than `most` bytes.
    """
    try:
        with open(_open_regular(path, os.O_RDONLY), "rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({explain(error)}).") from error
    if len(content) > most:
        raise UserError(f"{path} is larger than {most:,} bytes, which is not read.")
    return content


def _open_regular(path: Path, flags: int) -> int:
    """Open a regular file, never a folder, pipe or device, and return its descriptor."""
    descriptor = os.open(path, flags | getattr(os, "O_BINARY", 0) | _NO_WAIT, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    return descriptor


def refuse_link(path: Path) -> None:
    """Raise `OSError` if `path` is a symbolic link."""
    if Path(path).is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))


def remove_tree(path: Path) -> None:
    """Remove a file or a folder with its content, or a link but not its target; ignore a missing path."""
    path = Path(path)
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(mode):
        path.unlink(missing_ok=True)
        return
    with os.scandir(path) as entries:
        for entry in list(entries):
            remove_tree(Path(entry.path))
    path.rmdir()


def remove_parts(folder: Path) -> None:
    """Remove files in a folder that a killed process left half-written by the functions of this module."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in list(entries):
            head, found, token = entry.name.partition(_PART)
            token = token.partition(".")[0]
            if head.startswith(".") and found and len(token) == 16 and set(token) <= set("0123456789abcdef"):
                remove_tree(Path(entry.path))


def number_of(name: str) -> int | None:
    """Return the number that a name spells in the digits 0 to 9; None for any other name, such as `²` or `５`."""
    return int(name) if name.isascii() and name.isdecimal() and len(name) <= 18 else None


def fresh_name(path: Path) -> Path:
    """Return an unused name in the same folder and with the same ending for a file that is to become `path`."""
    return path.with_name(f".{path.stem[:_LONGEST_STEM]}{_PART}{secrets.token_hex(8)}{path.suffix}")
