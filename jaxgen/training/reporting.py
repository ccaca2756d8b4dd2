"""What a run says while it trains: the progress line, metrics.jsonl, TensorBoard, Weights & Biases."""

import json
import math
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import jax
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from jaxgen.training import run_folder


class Reporter:
    """The reports of one run. In processes other than the first every method does nothing."""

    def __init__(self, run_dir: Path, *, start_step: int, steps: int, wandb: str | None, config: dict[str, Any]):
        self.active = jax.process_index() == 0
        self.console = Console(quiet=not self.active, soft_wrap=True)
        self.run_dir, self.steps = run_dir, steps
        self._last_plain = 0.0
        self._lines = self._board = self._wandb = self._progress = None
        if not self.active:
            return
        if wandb is not None:
            self._wandb = _wandb_run(wandb, run_dir, config)
        from tensorboardX import SummaryWriter

        self._lines = (run_dir / run_folder.METRICS).open("a")
        self._board = SummaryWriter(
            str(run_dir / run_folder.TENSORBOARD), purge_step=start_step + 1 if start_step else None
        )
        if self.console.is_terminal:
            self._progress = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[facts]}"),
                console=self.console,
            )
            self._task = self._progress.add_task("step", total=steps, completed=start_step, facts="")

    def say(self, text: str) -> None:
        """One line for the person who watches."""
        self.console.print(text, markup=False, highlight=False)
        sys.stdout.flush()

    def machine(self, machine: dict[str, Any]) -> None:
        """Says which backend and how many devices are used, and what a GPU that lies idle needs."""
        platform, count = machine["platform"], machine["devices"]
        kind = f"cores: {machine['cores']}" if "cores" in machine else machine["kind"]
        self.say(f"backend {platform} ({kind}), {count} device{'s' if count > 1 else ''}, jax {jax.__version__}")
        nvidia = Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None
        if platform == "cpu" and nvidia:
            self.say("This machine has an NVIDIA card that is not used: pip install 'jaxgen[cuda]' makes jax use it.")

    def start(self) -> None:
        """Shows the progress bar (on a terminal), from the first compiled step on."""
        if self._progress is not None:
            self._progress.start()

    def progress(self, step: int, metrics: dict[str, float], examples_per_second: float, seconds_left: float) -> None:
        """Moves the bar; away from a terminal prints a line, at most every five seconds."""
        if not self.active:
            return
        facts = "  ".join(
            f"{name} {value:.4g}" for name, value in metrics.items() if name.endswith(("loss", "accuracy"))
        )
        if self._progress is not None:
            self._progress.update(self._task, completed=step, facts=f"{examples_per_second:,.0f} examples/s  {facts}")
        elif time.monotonic() - self._last_plain > 5.0 or step == self.steps:
            self._last_plain = time.monotonic()
            speed = f"{examples_per_second:,.0f} examples/s" if examples_per_second else "measuring speed"
            left = f"  {duration(seconds_left)} left" if examples_per_second else ""
            self.say(f"step {step}/{self.steps}  {speed}  {facts}{left}")

    def metrics(self, step: int, values: dict[str, float]) -> None:
        """Writes one line of metrics.jsonl, and the same to TensorBoard and Weights & Biases."""
        if not self.active:
            return
        finite = {name: value for name, value in values.items() if math.isfinite(value)}
        self._lines.write(json.dumps({"step": step, **finite}) + "\n")
        self._lines.flush()
        for name, value in finite.items():
            self._board.add_scalar(name, value, step)
        if self._wandb is not None:
            self._wandb.log(finite, step=step)

    def close(self) -> None:
        """Ends the bar and closes the files."""
        if self._progress is not None:
            self._progress.stop()
        if self._lines is not None:
            self._lines.close()
            self._board.close()
        if self._wandb is not None:
            self._wandb.finish()


def _wandb_run(project: str, run_dir: Path, config: dict[str, Any]) -> Any:
    import wandb

    return wandb.init(project=project, dir=str(run_dir), name="/".join(run_dir.parts[-2:]), config=config)


def duration(seconds: float) -> str:
    """12 s, 3 min 20 s, 2 h 05 min."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"
