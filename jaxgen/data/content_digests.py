"""Digests of files' contents, cached between runs while a file's size and times stay the same."""

import contextlib
import hashlib
import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

from jaxgen.core.cache import cache_folder
from jaxgen.core.errors import UserError
from jaxgen.core.files import write_atomically
from jaxgen.data.folder_scan import FoundFile

_AT_ONCE = 256  # files in one task
_BLOCK = 2**20  # bytes read at once
_SETTLED = 2_000_000_000  # nanoseconds: a file changed more recently may change again with the same time


def digest(*parts: bytes | str) -> str:
    """Return the BLAKE2b digest of some parts, one after another, as 32 hexadecimal digits."""
    found = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part
        found.update(len(data).to_bytes(8, "little"))
        found.update(data)
    return found.hexdigest()


def file_digests(folder: Path, files: Sequence[FoundFile]) -> list[str]:
    """Return the digest of each file's content.

    A file is read only if it is not in the cache of its folder or its size or times differ from the cached ones. The
    cache is in `$XDG_CACHE_HOME/jaxgen/folders` (`~/.cache` by default). If it cannot be written, all files are read
    each time.

    Raises:
      UserError: a file cannot be read.
    """
    cache = _cache_file(folder)
    known = _read(cache)
    found = [known.get(file.name) for file in files]
    digests = [
        entry[3] if entry is not None and tuple(entry[:3]) == file.stamp else None
        for file, entry in zip(files, found, strict=True)
    ]
    unknown = [i for i, value in enumerate(digests) if value is None]
    if not unknown:
        return cast(list[str], digests)
    begun = time.time_ns()
    blocks = [unknown[start : start + _AT_ONCE] for start in range(0, len(unknown), _AT_ONCE)]
    with ThreadPoolExecutor() as threads:
        for block, values in zip(
            blocks, threads.map(lambda block: [_digest_of(files[i].path) for i in block], blocks), strict=True
        ):
            for i, value in zip(block, values, strict=True):
                digests[i] = value
    settled = {
        file.name: [*file.stamp, value]
        for file, value in zip(files, digests, strict=True)
        if max(file.stamp[1:]) < begun - _SETTLED
    }
    _write(cache, settled)
    return cast(list[str], digests)  # all digests are known now


def _digest_of(path: Path) -> str:
    found = hashlib.blake2b(digest_size=16)
    try:
        with path.open("rb", buffering=0) as file:
            while block := file.read(_BLOCK):
                found.update(block)
    except OSError as error:
        raise UserError(f"The image file {path} cannot be read ({error.strerror}): mend or remove it.") from error
    return found.hexdigest()


def _cache_file(folder: Path) -> Path | None:
    """Return the file that caches the digests of a folder's files; None: there is no cache."""
    cache = cache_folder("folders")
    return None if cache is None else cache / f"{digest(str(folder.resolve()))}.json"


def _read(cache: Path | None) -> dict[str, list[Any]]:
    """Read the cache: name -> [size, times, digest]; empty if there is no cache, or it cannot be read."""
    if cache is None:
        return {}
    try:
        found = json.loads(cache.read_bytes())["files"]
        good = all(
            isinstance(entry, list) and len(entry) == 4 and isinstance(entry[3], str) for entry in found.values()
        )
        return found if good else {}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}


def _write(cache: Path | None, files: dict[str, list[Any]]) -> None:
    """Write digests to the cache, if it can be written."""
    if cache is None or not files:
        return
    with contextlib.suppress(OSError):
        write_atomically(cache, json.dumps({"files": files}))
