"""The end of every command line: an exit code, and at most one sentence on the error stream.

This module imports nothing slow, so that a command can be stopped from its start.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from jaxgen.core import signals
from jaxgen.core.errors import RunStopped, UserError
from jaxgen.core.terminal import discard, encode_anything, printable, shortened

PIPE_CLOSED = 141
"""Exit code of a process that SIGPIPE ends."""


class Stopped(BaseException):
    """A signal that asks the command to end."""

    def __init__(self, number: int):
        super().__init__(signal.Signals(number).name)
        self.exit_code = signals.exit_code(number)


def end_well(
    function: Callable[[], int], *, fault_code: int = 2, stopped: Callable[[], str] = lambda: "stopped"
) -> int:
    """Call `function` and return the exit code of the process, with one line on stderr if something is wrong.

    The code is 0 or what `function` returns; 2 for bad input; `fault_code` for a full disk or memory; 128 + the
    signal's number if a signal stopped it; 141 if the reader of stdout is gone (`| head`), which is not an error.

    Args:
      stopped: function that returns the message for a command that a signal ended.
    """
    encode_anything()
    try:
        code = function()
        sys.stdout.flush()
        return code
    except UserError as error:
        return _refuse(str(error), error.exit_code)
    except RunStopped as error:
        say(str(error))
        return error.exit_code
    except (KeyboardInterrupt, Stopped) as error:
        say(stopped())
        return getattr(error, "exit_code", signals.exit_code(signal.SIGINT))
    except BrokenPipeError:
        discard(sys.stdout)
        return PIPE_CLOSED
    except OSError as error:
        if error.filename is None and _stdout_fails():
            return _refuse(f"Standard output cannot be written ({error.strerror}).", fault_code)
        return _refuse(f"{_explained(error)}.", fault_code)
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "RESOURCE_EXHAUSTED" not in str(error):
            raise
        return _refuse("The memory is not enough: ask for fewer or smaller things at once.", fault_code)


def say(text: str) -> None:
    """Print one line on stderr, whatever it contains; do nothing if nobody reads it."""
    with contextlib.suppress(OSError, ValueError):
        print(printable(text), file=sys.stderr, flush=True)


def _refuse(sentence: str, code: int) -> int:
    with contextlib.suppress(OSError):
        sys.stdout.flush()  # earlier output comes first
    say(f"error: {sentence}")
    return code


def _explained(error: OSError) -> str:
    name = f"{shortened(os.fsdecode(error.filename))}: " if isinstance(error.filename, str | bytes) else ""
    return f"{name}{error.strerror or error or type(error).__name__}"


def _stdout_fails() -> bool:
    """Return whether stdout cannot be written; output that is still buffered is then lost."""
    try:
        print(flush=True)
    except (OSError, ValueError):
        discard(sys.stdout)
        return True
    return False


@contextlib.contextmanager
def stoppable(clean_up: Callable[[], object], stopped: Callable[[], str]) -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and SIGHUP end the block by `Stopped`, at once even while the main thread is compiling.

    Only the main thread of a process can catch signals; in another nothing changes. Signals that are ignored (as SIGHUP
    is under nohup) stay ignored.

    Args:
      clean_up: function called before the process ends in the middle of something that cannot be interrupted.
      stopped: function that returns the message printed then.
    """
    unraisable = sys.unraisablehook

    def end(number: int) -> None:
        clean_up()
        say(stopped())
        os._exit(signals.exit_code(number))

    def hear(number: int, ended: threading.Event) -> None:
        if not ended.wait(signals.PATIENCE):
            end(number)

    def stop(number: int, frame: FrameType | None) -> None:
        for other in numbers:
            signal.signal(other, signal.SIG_IGN)  # a second signal must not interrupt the clean-up
        if _is_importing(frame):  # C modules crash on an exception, or report another
            end(number)
        sys.unraisablehook = lambda unraisable: None  # if raised in a callback it cannot propagate
        raise Stopped(number)

    try:
        with signals.caught(stop, hear) as numbers:
            yield
    finally:
        sys.unraisablehook = unraisable


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None and not frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back
    return frame is not None


def leave(code: int) -> None:
    """End the process with an exit code, at once if a signal stopped it, since threads may still be compiling."""
    if code > signals.exit_code(0):
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
    sys.exit(code)


def interruptible_imports() -> None:
    """Let Ctrl-C end the process with one line while `python -m jaxgen...` imports what it needs.

    Nothing is in progress then, and an exception would not do: imported libraries sometimes swallow it.
    """

    def end(number: int, frame: FrameType | None) -> None:
        say("stopped before it began")
        os._exit(signals.exit_code(number))

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, end)
