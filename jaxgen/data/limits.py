"""Limit on the memory a file may ask for, the same for everything that is read from a user's own files.

A small file can declare any amount: a compressed archive, the shape in an array's header, the size of a picture.
Declared sizes are checked against the limit before anything is allocated. The environment variable
`JAXGEN_MAX_MEGABYTES` raises it.
"""

import os
import stat
from pathlib import Path

from jaxgen.core.errors import UserError

VARIABLE = "JAXGEN_MAX_MEGABYTES"
DEFAULT_MEGABYTES = 1024
MOST_CLASSES = 100_000
"""Maximum number of classes that a file may declare."""


def limit_bytes() -> int:
    """Return the maximum number of bytes that one file may take in memory.

    Raises:
      UserError: the environment variable is not an integer of at least 1.
    """
    text = os.environ.get(VARIABLE, "").strip() or str(DEFAULT_MEGABYTES)
    if not (text.isascii() and text.isdecimal() and 1 <= len(text) <= 12 and int(text) >= 1):
        raise UserError(f"The environment variable {VARIABLE} must be a whole number of megabytes, not {text!r}.")
    return int(text) * 2**20


def check_memory(needed: int, what: str, *, on_disk: int = 0) -> None:
    """Refuse anything that would take more memory than the limit.

    Args:
      needed: number of bytes declared.
      what: what needs them, the subject of the message.
      on_disk: number of bytes that the file takes on the disk; as many are allowed in any case.

    Raises:
      UserError: more is needed than both the limit and `on_disk`.
    """
    limit = limit_bytes()
    if needed > max(limit, on_disk):
        raise UserError(
            f"{what} would take {_megabytes(needed)} of memory, and the limit is {_megabytes(limit)}: if you trust "
            f"the file, raise the limit with the environment variable {VARIABLE}."
        )


def check_file(path: Path) -> int:
    """Refuse a path that is not a regular file (a folder, a device, a pipe); return the file's bytes on disk.

    The holes of a sparse file are not counted.

    Raises:
      UserError: the file does not exist or is not a regular file.
    """
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"There is no file {path}: check the path.") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({getattr(error, 'strerror', None) or error}): check it.") from error
    if stat.S_ISDIR(found.st_mode):
        raise UserError(f"{path} is a folder: name a file.")
    if not stat.S_ISREG(found.st_mode):
        raise UserError(f"{path} is no regular file (it is a device, a pipe or a socket): name a file on a disk.")
    return min(found.st_size, 512 * getattr(found, "st_blocks", found.st_size))


def _megabytes(count: int) -> str:
    return f"{-(-count // 2**20):,} MB"
