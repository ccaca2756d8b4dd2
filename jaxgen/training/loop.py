"""The training loop, common to all models."""

import contextlib
import functools
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from jaxgen.core import files
from jaxgen.core.errors import RunFailed, RunStopped, UserError
from jaxgen.core.model import GenerativeModel, ModelSpec, as_model
from jaxgen.core.state import TrainState
from jaxgen.core.types import Json, present
from jaxgen.data.dataset import Dataset
from jaxgen.samples import pictures
from jaxgen.samples.previews import build_preview
from jaxgen.samples.scores import build_sample_scores
from jaxgen.training import checkpoint, run_folder
from jaxgen.training.checkpoint_folder import disk_faults
from jaxgen.training.checks import check_devices, check_evaluation
from jaxgen.training.config import TrainConfig, validate
from jaxgen.training.dispatch import DispatchResult, add_metrics, build_dispatch, build_evaluation, mean_metrics
from jaxgen.training.lost_runs import lost_runs_explained
from jaxgen.training.parallel import device_mesh, replicate
from jaxgen.training.reporting import Reporter, duration
from jaxgen.training.run_setup import RunSetup, start_run
from jaxgen.training.speed import Speed
from jaxgen.training.stopping import stop_requested


class TrainResult(NamedTuple):
    """Result of `train`."""

    model: GenerativeModel
    state: TrainState
    run_dir: Path
    metrics: dict[str, float]
    """Metrics of the last line of metrics.jsonl and of the last evaluation."""
    examples_per_second: float
    """Speed over the steps of this call, without compilation, but with sheets and checkpoints."""
    stopped_by: str | None
    """None, or the signal that stopped the run before its last step ("SIGINT", "SIGTERM", "SIGHUP")."""


def train(
    model: GenerativeModel | ModelSpec,
    data: Dataset,
    config: TrainConfig = TrainConfig(),  # noqa: B008  immutable
    *,
    name: str | None = None,
    experiment: Json | None = None,
    owns_process: bool = False,
    **options: object,
) -> TrainResult:
    """Train a model, or the model of a spec, on `data` and write a run folder.

        train(GAN(...), load("mnist"), steps=5_000, batch_size=64, sample_every=500)

    `jaxgen.training.run_folder` describes its content.

    Args:
      name: runs without a `run_dir` go to runs/NAME/; None: the data set's name.
      experiment: reference by which commands find the code that rebuilds the model (`jaxgen.runs.experiment`).
      owns_process: set by command lines, whose process exists for this run alone. A run that a signal stopped is then
        returned, with `stopped_by`, and a second Ctrl-C ends the process even within a compiler.
      options: values that take precedence over those of `config`, by the names of options.

    Raises:
      UserError: options do not fit the machine, the data or the run that is resumed.
      RunFailed: a loss or the state is no longer finite, the device runs out of memory, or another process of the run
        is gone.
      RunStopped: Ctrl-C, SIGTERM or SIGHUP; the run ended after a step and is saved, and the message says how to
        continue. A second Ctrl-C raises it at once, with nothing more saved.
    """
    if not isinstance(data, Dataset):
        raise TypeError(f"data must be a jaxgen.data.Dataset (jaxgen.data.load makes one), not {type(data).__name__}")
    if not isinstance(config, TrainConfig):
        raise TypeError(f"config must be a jaxgen.TrainConfig, or options by name (steps=500), not {config!r:.80}")
    config = config.replace(**options)
    validate(config)
    if config.hardware.coordinator is not None and not owns_process:
        raise UserError(
            "coordinator is for command lines: call jax.distributed.initialize before jaxgen.train instead."
        )
    mesh = device_mesh(config.hardware.devices)
    with lost_runs_explained(mesh):
        return _train(as_model(model), data, config, mesh, name=name, experiment=experiment, owns_process=owns_process)


def _train(
    model: GenerativeModel,
    data: Dataset,
    config: TrainConfig,
    mesh: Mesh,
    *,
    name: str | None,
    experiment: Json | None,
    owns_process: bool,
) -> TrainResult:
    check_devices(config, mesh)
    has_best = check_evaluation(model, data, config)
    if not has_best:
        config = config.replace(best_metric=None)
    name = name or data.name
    experiment = experiment or {"name": name, "module": None, "file": None}
    start = start_run(model, data, config, mesh, name=name, experiment=experiment)
    if not has_best:
        start.messages.append(f"{data.name} has no held-out examples to choose a best checkpoint by: none is kept.")
    with start.locks, disk_faults(start.run_dir):
        loop = _Loop(model, data, config, mesh, start)
        try:
            result = loop.run(owns_process=owns_process)
        except KeyboardInterrupt as error:
            raise RunStopped("SIGINT", loop.stopped_at_once()) from error
        finally:
            loop.close()
    if result.stopped_by is None or owns_process:
        return result
    raise RunStopped(
        result.stopped_by,
        f"Stopped by {result.stopped_by} at step {loop.step} of {config.run.steps}; all is saved. Go on by training "
        f"again with run_dir={str(result.run_dir)!r} and resume=True.",
        result,
    )


class _Loop:
    """A call of `train`: the state, the pending results of the device, and the events between dispatches."""

    def __init__(self, model: GenerativeModel, data: Dataset, config: TrainConfig, mesh: Mesh, start: RunSetup):
        self.model, self.config, self.start, self.run_dir = model, config, start, start.run_dir
        self.state, self.totals, self.best = start.state, start.totals, start.best
        self.step = self.start_step = int(start.state.step)
        self.last_metrics: dict[str, float] = {}
        self.waiting: deque[tuple[int, int, DispatchResult]] = deque()
        self.speed = Speed(config.run.batch_size)
        self.reporter = Reporter(
            self.run_dir,
            start_step=self.step,
            steps=config.run.steps,
            wandb=config.reports.wandb,
            config=start.record["config"],
        )
        self.checkpoints = checkpoint.open_checkpoints(
            self.run_dir / checkpoint.FOLDER,
            keep=config.reports.keep_checkpoints,
            keep_every=config.reports.keep_checkpoint_every,
        )
        self.best_checkpoints = (
            None
            if config.evaluation.best_metric is None
            else checkpoint.open_checkpoints(self.run_dir / run_folder.BEST, keep=1)
        )
        self.dispatch = build_dispatch(
            model,
            data,
            mesh,
            batch_size=config.run.batch_size,
            max_steps=config.hardware.steps_per_dispatch,
            seed=config.run.seed,
            start_step=self.step,
        )
        self.evaluation = (
            build_evaluation(model, data, mesh, batch_size=config.run.batch_size) if data.test is not None else None
        )
        self.sample_scores = build_sample_scores(
            model,
            data,
            config.evaluation.eval_metrics,
            num_samples=config.evaluation.eval_samples,
            seed=config.run.seed,
        )
        self.preview = build_preview(model, data, functools.partial(replicate, mesh), seed=config.run.seed)
        # Periodic events in this order, since a checkpoint records what was reported before it.
        self.events = [
            (config.reports.log_every, self.log),
            (config.evaluation.eval_every, self.evaluate),
            (config.reports.sample_every, self.show),
            (config.reports.checkpoint_every, self.save),
        ]

    def close(self) -> None:
        with contextlib.ExitStack() as closing:  # close all of them even if one fails
            for manager in (self.checkpoints, self.best_checkpoints):
                if manager is not None:
                    closing.callback(manager.close)
            closing.callback(self.reporter.close)

    # ------------------------------------------------------------ the loop

    def run(self, *, owns_process: bool) -> TrainResult:
        for message in self.start.messages:
            self.reporter.say(message)
        self.reporter.machine(self.start.record["machine"])
        self.reporter.say(
            f"resuming {self.run_dir} at step {self.step}" if self.start_step else f"run folder {self.run_dir}"
        )
        if self.start_step == 0:
            with self.reporter.compiling("what shows samples"):
                self.show()
        self.reporter.say("compiling the train step ...")
        stopped_by = None
        with stop_requested(self.reporter.say, self.stopped_at_once if owns_process else None) as stop:
            dispatches = 0
            while self.step < self.config.run.steps and stopped_by is None:
                count = self.steps_to_next_event()
                with self.reporter.compiling("the train step") if dispatches == 0 else contextlib.nullcontext():
                    self.state, result = self.dispatch(self.state, count)
                self.step += count
                self.waiting.append((self.step, count, result))
                dispatches += 1
                stopped_by = stop(dispatches)
                due = self.due_events()
                # While one dispatch runs, Python processes the results of the previous one.
                await_all = due or dispatches == 1 or stopped_by or jax.process_count() > 1
                while len(self.waiting) > (0 if await_all else 1):
                    self.absorb(*self.waiting.popleft())
                if dispatches == 1:
                    seconds = duration(self.speed.first_seconds)
                    self.reporter.say(f"compiled; the first {count} steps took {seconds} with that")
                    self.reporter.start()
                for act in due:
                    act()
            if stopped_by is not None and self.checkpoints.latest_step() != self.step:
                self.save()
        for manager in (self.checkpoints, self.best_checkpoints):
            if manager is not None:
                manager.wait_until_finished()
        if self.reporter.active:
            pictures.loss_plot(run_folder.read_metrics(self.run_dir), self.run_dir / run_folder.LOSSES)
            pictures.progress_gif(run_folder.sheets(self.run_dir), self.run_dir / run_folder.PROGRESS)
        if self.step == self.config.run.steps:
            stopped_by = None  # the signal came after the last step
        return TrainResult(self.model, self.state, self.run_dir, self.last_metrics, self.speed.rate, stopped_by)

    def steps_to_next_event(self) -> int:
        """Return the number of steps of the next dispatch, which ends when an event is due."""
        ends = [(self.step // every + 1) * every for every, _ in self.events if every]
        return min([self.config.run.steps, self.step + self.config.hardware.steps_per_dispatch, *ends]) - self.step

    def due_events(self) -> list[Callable[[], None]]:
        """Return the events due after this step; after the last step all of them."""
        last = self.step == self.config.run.steps
        return [act for every, act in self.events if last or (every and self.step % every == 0)]

    def absorb(self, end: int, count: int, result: DispatchResult) -> None:
        """Process the report of a dispatch that ended at step `end`."""
        metrics, steps, finite = jax.device_get(result)
        if not finite:
            broken = ", ".join(name for name, (total, _) in metrics.items() if not np.isfinite(total))
            raise self.not_finite(f"{broken} at step {end - count + int(steps)}")
        self.totals = add_metrics(self.totals, metrics)
        self.speed.absorbed(end)
        left = (self.config.run.steps - end) * self.speed.seconds_per_step
        self.reporter.progress(end, mean_metrics(self.totals), self.speed.rate, left)

    def kept(self) -> str:
        """Return a sentence on what is saved of the run."""
        steps = checkpoint.steps_on_disk(self.run_dir / checkpoint.FOLDER)
        return f"The last good checkpoint is step {steps[0]}" if steps else "No checkpoint had been saved yet"

    def stopped_at_once(self) -> str:
        """Return the message with which a second Ctrl-C ends the run."""
        return f"Stopped by SIGINT within a step, which is lost. {self.kept()} in {self.run_dir}."

    def not_finite(self, what: str) -> RunFailed:
        self.checkpoints.wait_until_finished()
        return RunFailed(
            f"Stopped, since {what} is not finite. {self.kept()} in {self.run_dir}; try a lower learning rate, and "
            f"look at {run_folder.METRICS} for where it began."
        )

    # ------------------------------------------------------------ the events

    def log(self) -> None:
        """Write a line of metrics.jsonl: means since the previous line."""
        line = mean_metrics(self.totals)
        self.last_metrics = {**self.last_metrics, **line}
        if self.speed.rate:
            line["speed/examples_per_second"] = round(self.speed.rate, 1)
        self.reporter.metrics(self.step, line)
        self.totals = {}

    def evaluate(self) -> None:
        """Write a line with held-out metrics and scores of samples, and save the best checkpoint if requested."""
        values = {} if self.evaluation is None else self.evaluation(self.state)
        values |= {} if self.sample_scores is None else self.sample_scores(self.state)
        if not values:
            return
        values = {f"eval/{name}": value for name, value in values.items()}
        self.last_metrics = {**self.last_metrics, **values}
        self.reporter.metrics(self.step, values)
        self.reporter.say(f"step {self.step}: " + "  ".join(f"{name} {value:.4f}" for name, value in values.items()))
        metric = self.config.evaluation.best_metric
        if metric is None:
            return
        value = values[metric]
        better = not self.best or (value > self.best["value"]) == (self.config.evaluation.best_is == "max")
        if better and value != self.best.get("value"):
            self.best = {"metric": metric, "value": value, "step": self.step}
            checkpoint.save(present(self.best_checkpoints), self.state, self.json())

    def show(self) -> None:
        """Write samples, always from the same noise: a sheet of images, texts."""
        if self.preview is None:
            return
        samples = self.preview.draw(self.state)
        if self.reporter.active:
            with files.moved_into(self.run_dir / run_folder.SAMPLES) as folder:
                self.preview.write(samples, folder / f"step_{self.step:07d}")

    def save(self) -> None:
        """Save a checkpoint if the state is finite."""
        if not checkpoint.all_finite(self.state):
            raise self.not_finite(f"the state after step {self.step}")
        checkpoint.save(self.checkpoints, self.state, self.json())

    def json(self) -> Json:
        """Return the content of a checkpoint besides the state."""
        return {**self.start.record, "totals": self.totals, "best": self.best}
