"""Signals that ask a process to end, noticed at once, even while a compiler keeps the main thread from its handlers."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
Handler = Callable[[int, FrameType | None], None]
"""Handler as called by `signal.signal`: (number, interrupted frame)."""
PATIENCE = 2.0
"""Seconds that the main thread, which may be compiling, has to end by itself."""


@contextlib.contextmanager
def caught(handler: Handler, hear: Callable[[int, threading.Event], None]) -> Iterator[list[int]]:
    """Catch `SIGNALS` in a block, and yield the numbers of those caught; no signal is caught outside the main thread.

    Signals that are ignored (as SIGHUP is under nohup) stay ignored.

    Args:
      handler: handler as in `signal.signal`, called by the main thread between two Python instructions.
      hear: function called by a separate thread as soon as a signal comes, with its number and an event that is set
        when the block has ended.
    """
    if threading.current_thread() is not threading.main_thread():
        yield []
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    previous = {number: old for number, old in before.items() if old not in (signal.SIG_IGN, None)}
    ended = threading.Event()
    reader, writer = os.pipe()
    os.set_blocking(writer, False)

    def listen() -> None:
        while (received := os.read(reader, 1)) and not ended.is_set():
            if received[0] in previous:
                hear(received[0], ended)

    thread = threading.Thread(target=listen, daemon=True, name="signals")
    thread.start()
    old = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        for number in previous:
            signal.signal(number, handler)
        yield list(previous)
    finally:
        ended.set()
        signal.set_wakeup_fd(old)
        for number, earlier in previous.items():
            signal.signal(number, earlier)
        os.close(writer)  # ends the thread's reading
        thread.join()
        os.close(reader)


def exit_code(number: int) -> int:
    """Return 128 plus the number of the signal, as in shells."""
    return 128 + number
