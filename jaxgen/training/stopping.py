"""Ending a run early, at a step's end: Ctrl-C and SIGTERM."""

import contextlib
import signal
from collections.abc import Callable, Iterator
from typing import Any

import jax


@contextlib.contextmanager
def stop_requested() -> Iterator[Callable[[int], str | None]]:
    """Gives `stop(dispatch_number)`: the name of the signal that asks the run to end, or None.

    In one process Ctrl-C and SIGTERM are caught here (a second Ctrl-C interrupts at once). Across processes jax's
    preemption service sees SIGTERM and lets all processes stop behind the same dispatch, for which the number must rise
    by one from call to call.
    """
    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        yield lambda number: "SIGTERM" if multihost_utils.reached_preemption_sync_point(number) else None
        return
    caught: list[str] = []

    def catch(number: int, frame: Any) -> None:
        caught.append(signal.Signals(number).name)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    try:
        previous = {number: signal.signal(number, catch) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not in the main thread (a notebook's worker): leave the signals alone
        previous = {}
    try:
        yield lambda number: caught[0] if caught else None
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
