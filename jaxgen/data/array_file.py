"""Arrays in .npz and .npy files: nothing is unpickled, and what a header declares is checked before it is allocated."""

import contextlib
import io
import math
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgen.core.errors import UserError
from jaxgen.data.limits import check_file, check_memory

ARRAY_ENDINGS = (".npz", ".npy")
ONLY_ENTRY = "arr_0"
"""Name of the array in a .npy file, which is the name `np.savez` gives to its first array."""
_BLOCK = 2**20
_ENDING = ".npy"
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_ENCRYPTED = 0x1  # flag of an encrypted member


class Arrays(NamedTuple):
    """Arrays of an opened file."""

    names: list[str]
    read: Callable[[str], np.ndarray]
    """Function that returns an array of a numeric type by its name."""


@contextlib.contextmanager
def open_arrays(path: Path) -> Iterator[Arrays]:
    """Open the arrays in a .npz or .npy file; the content decides which of the two it is.

    Raises:
      UserError: the file does not exist, is of another kind or damaged, an array is not numeric or takes more than the
        limit of `jaxgen.data.limits`; or anything goes wrong in the block that uses it.
    """
    on_disk = check_file(path)
    try:
        with path.open("rb") as file:
            start = file.read(6)
            file.seek(0)
            if start.startswith(b"PK"):
                with zipfile.ZipFile(file) as archive:
                    yield _of_archive(archive, path, on_disk)
            elif start == np.lib.format.MAGIC_PREFIX:
                size = path.stat().st_size
                yield Arrays([ONLY_ENTRY], lambda name: _read(file, size, str(path), on_disk))
            else:
                what = "is empty" if not start else "is neither a .npz nor a .npy file, whatever its name"
                raise UserError(f"{path} {what}: write arrays with np.savez or np.save.")
    except UserError:
        raise
    except MemoryError:
        raise UserError(f"There is not enough memory to read {path}: use a smaller file.") from None
    except Exception as error:  # damaged archives raise nearly anything
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(
            f"{path} cannot be read as a file of arrays ({reason}): write it anew with np.savez."
        ) from error


def _of_archive(archive: zipfile.ZipFile, path: Path, on_disk: int) -> Arrays:
    names = [name.removesuffix(_ENDING) for name in archive.namelist() if name.endswith(_ENDING)]

    def read(name: str) -> np.ndarray:
        member = archive.getinfo(name + _ENDING)
        if member.flag_bits & _ENCRYPTED:
            raise UserError(f"The entry {name} of {path} is encrypted: write it anew with np.savez.")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise UserError(f"The entry {name} of {path} is compressed in an unknown way: write it anew with np.savez.")
        with archive.open(member) as file:
            assert isinstance(file, zipfile.ZipExtFile)
            return _read(file, member.file_size, f"The entry {name} of {path}", on_disk)

    return Arrays(names, read)


def _read(file: io.BufferedIOBase, size: int, what: str, on_disk: int) -> np.ndarray:
    """Return the array in a file of `size` bytes."""
    version = np.lib.format.read_magic(file)
    if version not in _HEADERS:
        raise UserError(f"{what} is no plain array of numbers: write images as uint8 [N, H, W, C].")
    shape, by_columns, dtype = _HEADERS[version](file)
    if dtype.kind not in "biufc":
        kind = "Python objects" if dtype.hasobject else str(dtype)
        raise UserError(f"{what} is an array of {kind}, not of numbers: write images as uint8 [N, H, W, C].")
    if any(length < 0 for length in shape):
        raise UserError(f"{what} declares the shape {list(shape)}: write it anew with np.savez.")
    count = math.prod(shape)
    needed, there = count * dtype.itemsize, size - file.tell()
    check_memory(needed, what, on_disk=on_disk)
    if needed > there:
        raise UserError(f"{what} declares {needed:,} bytes of numbers but has {there:,}: it is cut short or damaged.")
    array = np.empty(count, dtype)
    view = memoryview(array.view(np.uint8).data) if count else memoryview(b"")
    for start in range(0, needed, _BLOCK):
        block = view[start : start + _BLOCK]
        if _fill(file, block) < len(block):
            raise UserError(f"{what} is cut short or damaged: write it anew with np.savez.")
    return array.reshape(shape[::-1]).T if by_columns else array.reshape(shape)


def _fill(file: io.BufferedIOBase, block: memoryview) -> int:
    """Read bytes into a block until it is full or the file ends, and return how many were read."""
    filled = 0
    while filled < len(block) and (read := file.readinto(block[filled:])):
        filled += read
    return filled
