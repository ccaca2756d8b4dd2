"""The user's cache, which speeds up later calls and may be missing or removed at any time."""

import os
from pathlib import Path


def cache_folder(name: str) -> Path | None:
    """Return the folder `$XDG_CACHE_HOME/jaxgen/NAME` (`~/.cache` by default), created if necessary.

    Return None if it cannot be written: there is no home, or the disk is full or read-only.
    """
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jaxgen" / name
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return None
    return folder if os.access(folder, os.W_OK) else None
