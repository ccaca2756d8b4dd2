"""Exceptions that command lines turn into one sentence."""

import signal
from collections.abc import Iterable

from jaxgen.core import signals
from jaxgen.core.terminal import one_line


class UserError(Exception):
    """Bad input. The message is one sentence: what is wrong and what to do.

    Command lines print it on one line, without a traceback, and exit with code 2.
    """

    exit_code = 2

    def __str__(self) -> str:
        return one_line(super().__str__())


class RunFailed(UserError):
    """A run that could not go on (a loss that is not finite): printed like `UserError`, with exit code 1."""

    exit_code = 1


class RunStopped(KeyboardInterrupt):
    """A run that a signal stopped before its last step; `except Exception` does not catch it as a failure.

    The message says at which step, what is saved, and how to continue.
    """

    def __init__(self, signal_name: str, message: str, result: object = None):
        super().__init__(message)
        self.signal_name = signal_name
        """SIGINT, SIGTERM or SIGHUP."""
        self.result = result
        """The `jaxgen.TrainResult` of a run that was saved at the end of a step; None if it ended at once."""

    @property
    def exit_code(self) -> int:
        """128 plus the signal's number, as in shells."""
        return signals.exit_code(signal.Signals[self.signal_name])


def nearest(name: str, names: Iterable[str]) -> str:
    """Return " (did you mean ...?)" for an unknown name, or "" if no name is similar."""
    import difflib  # only when a name is mistyped, not at every start

    known = {name.lower(): name for name in names}
    found = difflib.get_close_matches(name[:100].lower(), known, n=1)
    return f" (did you mean {known[found[0]]}?)" if found else ""
