"""Progress on stderr while a command works: bars at a terminal, elsewhere a line every ten seconds.

One thing is done at a time. The first item of a count takes longest, since its program is compiled then; until it is
done, the progress says so.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from jaxgen.core.terminal import console, printable
from jaxgen.core.types import present

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

EVERY = 10.0
"""Seconds between two lines, and before the first line."""
_Item = TypeVar("_Item")


class Bars:
    """The progress of a command, callable as `jaxgen.metrics`' `progress`."""

    def __init__(self) -> None:
        self._console = console(stderr=True)
        self._bars: Progress | None = None
        self._task: TaskID | None = None
        self._what, self._done, self._total, self._facts, self._begun = "", 0, 0, "", time.monotonic()
        self._lock, self._closed, self._busy = threading.Lock(), threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def __call__(self, what: str, done: int, total: int, facts: str = "") -> None:
        """Show that `done` of `total` items of `what` are done; 0: it begins."""
        what = printable(what)
        with self._lock:
            if what != self._what:
                self._begun = time.monotonic()
            self._what, self._done, self._total, self._facts = what, done, total, facts
        if done >= total:
            self.stop()
        elif self._console.is_terminal:
            self._draw()
        else:
            self._busy.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._speak, daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """Remove the bar, so that the next output has the terminal for itself."""
        self._busy.clear()
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

    def close(self) -> None:
        """Remove the bar and end its thread."""
        self.stop()
        self._closed.set()
        if self._thread is not None:
            self._thread.join()

    def _draw(self) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        if self._bars is None:
            columns = (TextColumn("{task.description}", markup=False), BarColumn(bar_width=20), MofNCompleteColumn())
            self._bars = Progress(
                *columns,
                TimeRemainingColumn(),
                console=self._console,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._task = self._bars.add_task(self._what, total=None)
            self._bars.start()
        described = f"{self._what}{'' if self._done else ': compiling'}{self._facts and f' ({self._facts})'}"
        total = self._total if self._done else None  # a bar without a total moves to and fro
        self._bars.update(present(self._task), description=described, completed=self._done, total=total)

    def _speak(self) -> None:
        while not self._closed.wait(EVERY):
            if not self._busy.is_set():
                continue
            with self._lock:
                seconds = time.monotonic() - self._begun
                far = f"{self._done}/{self._total}" if self._done else "compiling"
                facts = self._facts and f", {self._facts}"
                line = f"{self._what}: {far}{facts} after {seconds:.0f} s"
            with contextlib.suppress(OSError, ValueError):
                print(line, file=sys.stderr, flush=True)


_open: list[Bars] = []


@contextlib.contextmanager
def progress_bars() -> Iterator[Bars]:
    """Yield the progress of the whole command, the same object in nested calls."""
    if _open:
        yield _open[0]
        return
    bars = Bars()
    _open.append(bars)
    try:
        yield bars
    finally:
        _open.clear()
        bars.close()


def counted(items: Iterable[_Item], what: str, total: int | None = None) -> Iterator[_Item]:
    """Yield the items one by one and show how many are done; give `total` if they have no length."""
    total = len(items) if total is None and isinstance(items, Sequence) else total or 0
    with progress_bars() as progress:
        progress(what, 0, total)
        for done, item in enumerate(items, 1):
            yield item
            progress(what, done, total)


@contextlib.contextmanager
def doing(what: str) -> Iterator[None]:
    """Show that work of unknown length is being done."""
    with progress_bars() as progress:
        progress(what, 0, 1)
        yield
        progress(what, 1, 1)
