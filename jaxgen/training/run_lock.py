"""A lock on a file of a run's folder, so that one process at a time trains the run; it ends with its process."""

import contextlib
import errno
import json
import os
import socket
import time
from pathlib import Path

from jaxgen.core.errors import UserError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

LOCK = ".lock"
_TAKEN = (errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK)
_MOST_BYTES = 1000


class RunLock:
    """The right to write to a run's folder, from `lock_run` to `release` (or the end of the process)."""

    def __init__(self, path: Path, descriptor: int | None, message: str | None = None):
        self._path, self._descriptor = path, descriptor
        self.message = message
        """A message for the user, if this disk has no locks."""

    def release(self) -> None:
        """Release the lock, and remove the file."""
        if self._descriptor is None:
            return
        with contextlib.suppress(OSError):
            if _is_same(self._path, self._descriptor):
                self._path.unlink()
        os.close(self._descriptor)
        self._descriptor = None

    def __del__(self) -> None:
        self.release()


def lock_run(run_dir: Path) -> RunLock:
    """Take the lock of a run's folder.

    Raises:
      UserError: another process trains the run; the message names it and says since when.
      OSError: the folder cannot be written.
    """
    path = Path(run_dir) / LOCK
    while True:
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
        descriptor = os.open(path, flags, 0o666)
        try:
            if fcntl is None:
                raise OSError(errno.ENOSYS, "no locks on this system")
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _TAKEN:
                holder = _holder(descriptor)
                os.close(descriptor)
                raise UserError(
                    f"The run in {run_dir} is being trained by {holder}: wait for it, stop it, or start another run."
                ) from error
            os.close(descriptor)
            with contextlib.suppress(OSError):
                path.unlink()
            why = "The disk of this folder has no locks, so see to it that no second process trains this run."
            return RunLock(path, None, why)
        if _is_same(path, descriptor):  # otherwise its holder has just removed this file
            break
        os.close(descriptor)
    lock = RunLock(path, descriptor)
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    told = json.dumps({"process": os.getpid(), "host": socket.gethostname(), "since": since})
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, told.encode(), 0)
    return lock


def _is_same(path: Path, descriptor: int) -> bool:
    """Return whether the file at `path` is the one that is open."""
    try:
        return os.path.samestat(os.lstat(path), os.fstat(descriptor))
    except OSError:
        return False


def _holder(descriptor: int) -> str:
    try:
        told = json.loads(os.pread(descriptor, _MOST_BYTES, 0))
        host = f" on {told['host']}" if told["host"] != socket.gethostname() else ""
        return ascii(f"process {int(told['process'])}{host} since {told['since']}").strip("'\"")
    except (ValueError, KeyError, TypeError, OSError):
        return "another process"
