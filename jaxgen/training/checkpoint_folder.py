"""The folders of checkpoints, and the messages of a run that can no longer write them."""

import contextlib
import functools
import logging
import os
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import orbax.checkpoint as ocp
from etils import epath

from jaxgen.core import files
from jaxgen.core.errors import RunFailed, UserError

FOLDER = "checkpoints"
_UNFINISHED = re.compile(r"[0-9]+\.orbax-checkpoint-tmp(-[0-9]+)?")
_SET_ASIDE = re.compile(r"[0-9]+\.damaged")


def _is_step(path: Path) -> bool:
    """Return whether a path is a folder (not a link) named like a checkpoint: 17, but not 017 or non-ASCII digits."""
    number = files.number_of(path.name)
    return number is not None and str(number) == path.name and path.is_dir() and not path.is_symlink()


def is_unfinished(path: Path) -> bool:
    """Return whether a path is named like an unfinished checkpoint of orbax."""
    return bool(_UNFINISHED.fullmatch(path.name))


def is_part(path: Path) -> bool:
    """Return whether a path in a folder of checkpoints is named like what runs write there."""
    return _is_step(path) or is_unfinished(path) or bool(_SET_ASIDE.fullmatch(path.name))


def steps_on_disk(folder: Path) -> list[int]:
    """Return the steps that have a finished checkpoint folder, newest first."""
    folder = Path(folder)
    paths = folder.iterdir() if folder.is_dir() else []
    return sorted((int(path.name) for path in paths if _is_step(path)), reverse=True)


def quarantine_newer(folder: Path, step: int) -> None:
    """Rename the checkpoints after `step`, which could not be read, to `STEP.damaged`.

    A run that continues from `step` reaches their steps again, and orbax silently saves nothing up to the latest it
    sees.
    """
    for later in steps_on_disk(folder):
        if later > step:
            aside = folder / f"{later}.damaged"
            files.remove_tree(aside)
            (folder / str(later)).rename(aside)


class Steps(ocp.path.step.NameFormat):
    """Orbax's name format for finding checkpoints as in `steps_on_disk`.

    Orbax's default takes any folder that ends in a digit for a checkpoint.
    """

    def build_name(self, step: int) -> str:
        return str(step)

    def find_all(self, base_path: epath.PathLike) -> Iterator[ocp.path.step.Metadata]:
        return (self._metadata(base_path, step) for step in steps_on_disk(Path(base_path)))

    def find_step(self, base_path: epath.PathLike, step: int) -> ocp.path.step.Metadata:
        if step not in steps_on_disk(Path(base_path)):
            raise ValueError(f"no checkpoint {step} in {base_path}")
        return self._metadata(base_path, step)

    def _metadata(self, base_path: epath.PathLike, step: int) -> ocp.path.step.Metadata:
        return ocp.path.step.Metadata(step=step, path=epath.Path(base_path) / str(step))


class Manager(ocp.CheckpointManager):
    """Orbax's manager, whose errors end a run in one sentence wherever they surface.

    They surface late, since orbax saves in separate threads.
    """

    def __init__(self, run_dir: Path, folder: Path, options: ocp.CheckpointManagerOptions):
        self._run_dir, self._has_failed = run_dir, False
        logging.getLogger("absl").addFilter(_is_not_of_a_failed_save)
        ignore_late_ends()
        with self._failing_once():
            super().__init__(folder, options=options)

    def save(self, *arguments: Any, **options: Any) -> bool:
        with self._failing_once():
            return super().save(*arguments, **options)

    def wait_until_finished(self) -> None:
        with self._failing_once():
            super().wait_until_finished()

    def close(self) -> None:
        with self._failing_once():
            super().close()

    @contextlib.contextmanager
    def _failing_once(self) -> Iterator[None]:
        try:
            yield
        except UserError:
            raise
        except Exception as error:
            if not self._has_failed:  # report the failure only once
                self._has_failed = True
                raise run_failed(self._run_dir, f"a checkpoint could not be written ({_reason(error)})") from error


@functools.cache
def ignore_late_ends() -> None:
    """Silence orbax's reads and writes that end after their event loop.

    If one of several fails, orbax closes the loop of all of them, and each of the others prints a traceback, directly
    or in the log of asyncio.
    """
    logging.getLogger("asyncio").addFilter(_is_not_of_a_late_end)
    show = sys.unraisablehook

    def hook(what: "sys.UnraisableHookArgs") -> None:
        code = getattr(what.object, "cr_code", None)  # set for a coroutine that is no longer awaited
        of_orbax = code is not None and f"{os.sep}orbax{os.sep}" in code.co_filename
        if not of_orbax and not (
            type(what.exc_value) is RuntimeError and str(what.exc_value) == "Event loop is closed"
        ):
            show(what)

    sys.unraisablehook = hook
    say = sys.excepthook

    def hook_of_threads(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        outermost = traceback or getattr(error, "__traceback__", None)
        called_from_outside = outermost is not None and outermost.tb_frame.f_code.co_name == "call_soon_threadsafe"
        if not (called_from_outside and isinstance(error, RuntimeError)):
            say(kind, error, traceback)

    sys.excepthook = hook_of_threads  # called by tensorstore's own threads


def _is_not_of_a_late_end(record: logging.LogRecord) -> bool:
    text = record.getMessage()
    of_orbax = any(word in text for word in ("tensorstore", "TensorStore", f"{os.sep}orbax{os.sep}", "_wrap_awaitable"))
    return not ("exception was never retrieved" in text and of_orbax)


def _is_not_of_a_failed_save(record: logging.LogRecord) -> bool:
    """Return False for tracebacks logged by orbax's threads, which `Manager` reports in a sentence."""
    return f"{os.sep}orbax{os.sep}" not in record.pathname or record.levelno < logging.ERROR


def _reason(error: BaseException) -> str:
    """Return the system's reason for a failure, which orbax and tensorstore pass on in several ways."""
    if isinstance(error, OSError) and error.errno is not None:
        return files.explain(error)
    if code := re.search(r"os_error_code='(\d+)'", str(error)):
        return files.explain(OSError(int(code[1]), os.strerror(int(code[1]))))
    return f"{type(error).__name__}: {str(error).splitlines()[0][:200] if str(error) else 'no reason given'}"


def run_failed(run_dir: Path, why: str) -> RunFailed:
    """Return the error that ends a run which cannot continue here; it says what is saved and how to continue."""
    try:
        steps = steps_on_disk(run_dir / FOLDER)
    except OSError:
        steps = []
    if not steps:
        return RunFailed(f"Stopped, since {why}. No checkpoint is in {run_dir} yet: mend that, and start again.")
    return RunFailed(
        f"Stopped, since {why}. The last good checkpoint is step {steps[0]} in {run_dir}: mend that, and go on with "
        f"--resume {shlex.quote(str(run_dir))}."
    )


@contextlib.contextmanager
def disk_faults(run_dir: Path) -> Iterator[None]:
    """Turn file errors of the system (a full disk, a lost permission) into a failed run with a one-sentence message."""
    try:
        yield
    except OSError as error:
        raise run_failed(run_dir, f"the system refused to read or write a file ({files.explain(error)})") from error
