"""The exceptions that command lines turn into one sentence."""

import signal
from collections.abc import Iterable

from jaxgen.core import signals
from jaxgen.core.terminal import one_line


class UserError(Exception):
    """Bad input. The message is one sentence: what is wrong and what to do.

    Command lines print it, on one line, without a traceback and exit with code 2.
    """

    exit_code = 2

    def __str__(self) -> str:
        return one_line(super().__str__())


class RunFailed(UserError):
    """A run could not go on (a loss that is not finite): printed in the same way, exit code 1."""

    exit_code = 1


class RunStopped(KeyboardInterrupt):
    """A run was stopped by a signal before its last step; `except Exception` does not take it for a failure.

    The message says at which step, what is saved, and how to go on.
    """

    def __init__(self, signal_name: str, message: str, result: object = None):
        super().__init__(message)
        self.signal_name = signal_name
        """SIGINT, SIGTERM or SIGHUP."""
        self.result = result
        """The `jaxgen.TrainResult` of a run that ended at a step's end, saved; None of one that ended at once."""

    @property
    def exit_code(self) -> int:
        """128 and the signal's number, as shells have it."""
        return signals.exit_code(signal.Signals[self.signal_name])


def nearest(name: str, names: Iterable[str]) -> str:
    """Return " (did you mean ...?)" for a name that is not among others, or "" where none is like it."""
    import difflib  # when a name is mistyped, and not at every start

    found = difflib.get_close_matches(name[:100], list(names), n=1)
    return f" (did you mean {found[0]}?)" if found else ""
