"""Ending a run early, at a step's end: Ctrl-C, SIGTERM, and SIGHUP (a terminal that was closed)."""

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
    """Give `stop(dispatch_number)`: the name of the signal that asks the run to end, or None.

    In one process the signals are caught here, the first is answered through `say`, and a second Ctrl-C raises
    `KeyboardInterrupt`. Across processes jax's preemption service sees SIGTERM and lets all processes stop after the
    same dispatch, for which the number must rise by one from call to call.

    Args:
      at_once: what is said when a second Ctrl-C ends the process even where it is compiling; None: it does not, however
        long Python takes to come to the exception.
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
