"""Reports of a run during training: the progress line, metrics.jsonl, TensorBoard, Weights & Biases."""

import contextlib
import json
import math
import secrets
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column

from jaxgen.core import files
from jaxgen.core.terminal import console, discard
from jaxgen.core.types import Json, present
from jaxgen.training import run_folder

SECONDS_BETWEEN_WORDS = 15.0
"""Seconds between messages during compilation, which itself prints nothing."""


class Reporter:
    """The reports of a run. In all processes but the first every method does nothing."""

    def __init__(self, run_dir: Path, *, start_step: int, steps: int, wandb: str | None, config: Json):
        self.active = jax.process_index() == 0
        self.console = console(quiet=not self.active, soft_wrap=True)
        self.run_dir, self.steps = run_dir, steps
        self._last_plain = 0.0
        self._lines = self._board = self._wandb = self._progress = None
        if not self.active:
            return
        if wandb is not None:
            self._wandb = _wandb_run(wandb, run_dir, config)
        self._lines = files.open_for_append(run_dir / run_folder.METRICS)
        self._board = _Board(run_dir / run_folder.TENSORBOARD, start_step)
        if self.console.is_terminal:
            self._progress = _progress_bar(self.console)
            self._task = self._progress.add_task("step", total=steps, completed=start_step, speed="", facts="")

    def say(self, text: str) -> None:
        """Print one line for the user."""
        try:
            self.console.print(text)
            sys.stdout.flush()
        except OSError:  # the reader is gone (`| head`), or the disk of stdout is full: the run continues
            discard(sys.stdout)

    def machine(self, machine: Json) -> None:
        """Report the backend and the number of devices, and what an idle GPU needs."""
        platform, count = machine["platform"], machine["devices"]
        kind = f"cores: {machine['cores']}" if "cores" in machine else machine["kind"]
        self.say(f"backend {platform} ({kind}), {count} device{'s' if count > 1 else ''}, jax {jax.__version__}")
        nvidia = Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None
        if platform == "cpu" and nvidia:
            self.say("This machine has an NVIDIA card that is not used: pip install 'jaxgen[cuda]' makes jax use it.")

    @contextlib.contextmanager
    def compiling(self, what: str) -> Iterator[None]:
        """Report at intervals that something is still being compiled, and for how long."""
        done, began = threading.Event(), time.monotonic()

        def say_so() -> None:
            while not done.wait(SECONDS_BETWEEN_WORDS):
                self.say(f"still compiling {what} ({duration(time.monotonic() - began)}) ...")

        thread = threading.Thread(target=say_so, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def start(self) -> None:
        """Show the progress bar (on a terminal), from the first compiled step on."""
        if self._progress is not None:
            self._progress.start()

    def progress(self, step: int, metrics: dict[str, float], examples_per_second: float, seconds_left: float) -> None:
        """Move the bar; without a terminal print a line, at most every five seconds."""
        if not self.active:
            return
        facts = "  ".join(
            f"{name} {value:.4g}" for name, value in metrics.items() if name.endswith(("loss", "accuracy"))
        )
        if self._progress is not None:
            speed = f"{examples_per_second:,.0f} examples/s" if examples_per_second else ""
            self._progress.update(self._task, completed=step, speed=speed, facts=facts)
        elif time.monotonic() - self._last_plain > 5.0 or step == self.steps:
            self._last_plain = time.monotonic()
            speed = f"{examples_per_second:,.0f} examples/s" if examples_per_second else "measuring speed"
            left = f"  {duration(seconds_left)} left" if examples_per_second else ""
            self.say(f"step {step}/{self.steps}{left}  {speed}  {facts}")

    def metrics(self, step: int, values: dict[str, float]) -> None:
        """Write one line of metrics.jsonl, and the same values to TensorBoard and Weights & Biases."""
        if not self.active:
            return
        finite = {name: value for name, value in values.items() if math.isfinite(value)}
        present(self._lines).write(json.dumps({"step": step, **finite}) + "\n")
        present(self._lines).flush()
        present(self._board).add(finite, step)
        if self._wandb is not None:
            self._wandb.log(finite, step=step)

    def close(self) -> None:
        """End the bar and close the files."""
        with contextlib.ExitStack() as closing:  # close all of them even if one fails
            if self._wandb is not None:
                closing.callback(self._wandb.finish)
            for file in (self._board, self._lines):
                if file is not None:
                    closing.callback(file.close)
            if self._progress is not None:
                closing.callback(self._progress.stop)


def _progress_bar(terminal: Console) -> Progress:
    """Return a bar whose step, time left and speed stay on a narrow terminal, while the losses are cut."""
    return Progress(
        TextColumn("{task.description}", table_column=Column(no_wrap=True)),
        BarColumn(bar_width=16, table_column=Column(no_wrap=True)),
        MofNCompleteColumn(table_column=Column(no_wrap=True)),
        TimeRemainingColumn(compact=True, table_column=Column(no_wrap=True)),
        TextColumn("{task.fields[speed]}", markup=False, table_column=Column(no_wrap=True)),
        TextColumn(
            "{task.fields[facts]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)
        ),
        console=terminal,
        expand=True,
    )


class _Board:
    """TensorBoard's file of one call, written at once, since tensorboardX's own writer fails in a separate thread."""

    def __init__(self, folder: Path, start_step: int):
        from tensorboardX.event_file_writer import EventsWriter

        # protobuf creates the names at run time
        from tensorboardX.proto.event_pb2 import Event, SessionLog  # pyright: ignore[reportAttributeAccessIssue]
        from tensorboardX.summary import scalar

        files.refuse_link(folder)
        folder.mkdir(exist_ok=True)
        self._event, self._scalar = Event, scalar
        self._writer = EventsWriter(str(folder / "events"), f".{secrets.token_hex(4)}")
        if start_step:  # later steps in other files are not shown
            start = SessionLog(status=SessionLog.START)
            self._writer.write_event(Event(wall_time=time.time(), step=start_step + 1, session_log=start))

    def add(self, values: dict[str, float], step: int) -> None:
        for name, value in values.items():
            summary = self._scalar(name, value)
            self._writer.write_event(self._event(wall_time=time.time(), step=step, summary=summary))
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


def _wandb_run(project: str, run_dir: Path, config: Json) -> Any:
    import wandb  # pyright: ignore[reportMissingImports]  # an extra, not installed where types are checked

    return wandb.init(project=project, dir=str(run_dir), name="/".join(run_dir.parts[-2:]), config=config)


def duration(seconds: float) -> str:
    """Format a duration: 12 s, 3 min 20 s, 2 h 05 min."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"
