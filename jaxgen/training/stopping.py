"""Stopping a run early, after a step: Ctrl-C, SIGTERM, and SIGHUP (a terminal that was closed)."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

import jax

from jaxgen.core import command_line, signals


@contextlib.contextmanager
def stop_requested(
    say: Callable[[str], None], at_once: Callable[[], str] | None = None
) -> Iterator[Callable[[int], str | None]]:
    """Yield `stop(dispatch_number)`, which returns the name of the signal that asks the run to end, or None.

    In one process the signals are caught here, the first is acknowledged by `say`, and a second Ctrl-C raises
    `KeyboardInterrupt`. Across processes jax's preemption service receives SIGTERM and lets all processes stop after
    the same dispatch, for which the number must increase by one from call to call.

    Args:
      at_once: function that returns the message when a second Ctrl-C ends the process even while it is compiling; None:
        it does not end the process, however long Python takes to raise the exception.
    """
    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        yield lambda number: "SIGTERM" if multihost_utils.reached_preemption_sync_point(number) else None
        return
    caught: list[str] = []
    heard: list[int] = []

    def catch(number: int, frame: FrameType | None) -> None:
        caught.append(signal.Signals(number).name)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def answer(number: int, ended: threading.Event) -> None:
        heard.append(number)
        if len(heard) == 1:
            say(f"{signal.Signals(number).name}: stopping after this step; Ctrl-C again to abort.")
        elif number == signal.SIGINT and at_once is not None and not ended.wait(signals.PATIENCE):
            command_line.say(at_once())
            os._exit(signals.exit_code(number))

    with signals.caught(catch, answer):
        yield lambda number: caught[0] if caught else None
