"""The training loop: one for every model, since it knows none."""

import contextlib
import signal
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.data.dataset import Dataset, example_batch
from jaxgen.errors import RunFailed, UserError
from jaxgen.training import checkpoint, pictures, run_folder
from jaxgen.training.config import TrainConfig, config_from_json, config_to_json, refuse_changes, validate
from jaxgen.training.dispatch import add_metrics, build_dispatch, build_evaluation, mean_metrics
from jaxgen.training.parallel import device_mesh, replicate
from jaxgen.training.reporting import Reporter, duration
from jaxgen.training.state import GenerativeModel, TrainState

SAMPLES_PER_SHEET = 64


class TrainResult(NamedTuple):
    """What `train` gives back."""

    state: TrainState
    run_dir: Path
    metrics: dict[str, float]
    """The last line of metrics.jsonl."""
    examples_per_second: float
    """Over the steps of this call, without compilation, with sheets and checkpoints."""
    stopped_by: str | None
    """None, or the signal that stopped the run before its last step ("SIGINT", "SIGTERM")."""


def train(
    model: GenerativeModel,
    data: Dataset,
    config: TrainConfig,
    *,
    name: str | None = None,
    experiment: dict[str, Any] | None = None,
) -> TrainResult:
    """Trains `model` on `data` and leaves a run folder (`jaxgen.training.run_folder` says what lies in it).

    Args:
      name: the runs without --run-dir go to runs/NAME/; the data set's name if not given.
      experiment: where the command line finds the code that builds the model again (`jaxgen.experiment`).

    Raises:
      UserError: options that do not fit the machine, the data or the run that is resumed.
      RunFailed: a loss or the state is not finite any more.
    """
    validate(config)
    mesh = device_mesh(config.devices)
    if config.batch_size % mesh.size:
        raise UserError(
            f"--batch-size {config.batch_size} cannot be split over {mesh.size} devices: make it a multiple of "
            f"{mesh.size}, or choose fewer --devices."
        )
    name = name or data.name
    root = Path("runs") / name
    if config.resume:
        run_dir = run_folder.find(config.run_dir, root)
        refuse_changes(config_from_json(type(config), run_folder.read_record(run_dir)["config"]), config)

    # ---- the state: new, from another run's weights, or restored
    batch = example_batch(data, 2)
    init_key = jax.random.key(config.seed)
    record = {
        "experiment": experiment or {"name": name, "module": None, "file": None},
        "config": {**config_to_json(config), "resume": False, "overwrite": False, "run_dir": None},
        "assets": data.assets,
        "kind": data.kind,
        "batch": {k: {"shape": [*x.shape[1:]], "dtype": str(x.dtype)} for k, x in batch.items()},
        "versions": _versions(),
    }
    totals: dict[str, tuple[float, float]] = {}
    best: dict[str, Any] = {}
    messages: list[str] = []
    if config.resume:
        target = jax.eval_shape(model.init, init_key, batch)
        state, saved = checkpoint.restore_latest(
            run_dir / checkpoint.FOLDER, with_sharding(target, mesh), warn=messages.append
        )
        totals = {k: (v[0], v[1]) for k, v in saved["totals"].items()}
        best = saved["best"]
        if int(state.step) >= config.steps:
            raise UserError(
                f"The run in {run_dir} already has its {int(state.step)} steps: ask for more with --steps, or look at it "
                f"with 'jaxgen sample {run_dir}'."
            )
    else:
        # Before the run folder is made: what fails here leaves nothing behind.
        state = replicate(mesh, jax.jit(model.init)(init_key, batch))
        if config.init_from is not None:
            state = replicate(mesh, take_weights(state, config.init_from))
        run_dir = _shared_path(lambda: run_folder.create(config.run_dir, root, overwrite=config.overwrite))
    start_step = int(state.step)
    if jax.process_index() == 0:
        run_folder.write_json(run_dir / run_folder.CONFIG, record)
        run_folder.cut_back(run_dir, start_step)
        if experiment and experiment.get("file"):
            (run_dir / "experiment.py").write_bytes(Path(experiment["file"]).read_bytes())

    reporter = Reporter(run_dir, start_step=start_step, steps=config.steps, wandb=config.wandb, config=record["config"])
    manager = checkpoint.open_checkpoints(
        run_dir / checkpoint.FOLDER, keep=config.keep_checkpoints, keep_every=config.keep_checkpoint_every
    )
    best_manager = checkpoint.open_checkpoints(run_dir / run_folder.BEST, keep=1) if config.best_metric else None
    dispatch = build_dispatch(
        model,
        data,
        mesh,
        batch_size=config.batch_size,
        max_steps=config.steps_per_dispatch,
        seed=config.seed,
        start_step=start_step,
    )
    evaluate = build_evaluation(model, data, mesh, batch_size=config.batch_size) if data.test is not None else None
    sheet_key = replicate(mesh, jax.random.key(config.seed + 2**32 - 1))
    draw = jax.jit(lambda state, key: model.sample(state, key, SAMPLES_PER_SHEET)) if model.sample else None

    for message in messages:
        reporter.say(message)
    reporter.machine(mesh.size)
    reporter.say(
        f"{'resuming' if config.resume else 'run folder'} {run_dir}" + (f" at step {start_step}" if start_step else "")
    )

    # ---- the events between dispatches
    last_line: dict[str, float] = {}

    def report(step: int) -> None:
        nonlocal totals, last_line
        last_line = mean_metrics(totals)
        if speed.rate:
            last_line["speed/examples_per_second"] = round(speed.rate, 1)
        reporter.metrics(step, last_line)
        totals = {}

    def evaluate_now(step: int) -> None:
        nonlocal best
        if evaluate is None:
            return
        values = {f"eval/{key}": value for key, value in evaluate(state).items()}
        last_line.update(values)
        reporter.metrics(step, values)
        reporter.say(f"step {step}: " + "  ".join(f"{key} {value:.4f}" for key, value in values.items()))
        if best_manager is None:
            return
        if config.best_metric not in values:
            raise UserError(f"--best-metric {config.best_metric} is not among {', '.join(values)}: name one of these.")
        value = values[config.best_metric]
        if not best or (value > best["value"] if config.best_is == "max" else value < best["value"]):
            best = {"metric": config.best_metric, "value": value, "step": step}
            checkpoint.save(best_manager, state, {**record, "totals": {}, "best": best})

    def draw_sheet(step: int) -> None:
        if draw is None or data.kind != "image":
            return
        images = np.asarray(draw(state, sheet_key))
        if reporter.active:
            (run_dir / run_folder.SAMPLES).mkdir(exist_ok=True)
            pictures.image_grid(images).save(run_dir / run_folder.SAMPLES / f"step_{step:07d}.png")

    def save(step: int) -> None:
        if not checkpoint.all_finite(state):
            raise RunFailed(_not_finite(f"the state after step {step}", run_dir))
        checkpoint.save(manager, state, {**record, "totals": totals, "best": best})

    def absorb(end: int, result: Any) -> None:
        nonlocal totals
        metrics, steps, finite = jax.device_get(result)
        if not finite:
            broken = [key for key, (total, _) in metrics.items() if not np.isfinite(total)]
            first = end - planned[end] + int(steps)
            raise RunFailed(_not_finite(f"{', '.join(broken)} at step {first}", run_dir))
        totals = add_metrics(totals, metrics)
        speed.absorbed(end)
        reporter.progress(end, mean_metrics(totals), speed.rate, (config.steps - end) * speed.seconds_per_step)

    # ---- the loop
    events = [
        (config.log_every, report),
        (config.eval_every, evaluate_now),
        (config.sample_every, draw_sheet),
        (config.checkpoint_every, save),
    ]
    speed = _Speed(config.batch_size, start_step)
    waiting: deque[tuple[int, Any]] = deque()
    planned: dict[int, int] = {}
    step = start_step
    stopped_by = None
    try:
        if draw is not None and start_step == 0:
            draw_sheet(0)
        reporter.say("compiling the train step ...")
        with _stop_requested() as stop:
            dispatches = 0
            while step < config.steps and stopped_by is None:
                ends = [(step // every + 1) * every for every, _ in events if every]
                end = min([config.steps, step + config.steps_per_dispatch, *ends])
                planned[end] = end - step
                state, result = dispatch(state, end - step)
                step = end
                waiting.append((end, result))
                first = dispatches == 0
                dispatches += 1
                due = [act for every, act in events if (every and step % every == 0) or step == config.steps]
                stopped_by = stop(dispatches)
                # While one dispatch runs, Python looks at the results of the one before.
                while waiting and (due or first or stopped_by or len(waiting) > 1):
                    absorb(*waiting.popleft())
                    if first:
                        reporter.say(
                            f"compiled, first {step - start_step} steps done in {duration(speed.first_seconds)}"
                        )
                        reporter.start()
                for act in due:
                    act(step)
            if stopped_by is not None and step < config.steps and manager.latest_step() != step:
                save(step)
        manager.wait_until_finished()
        if best_manager is not None:
            best_manager.wait_until_finished()
    finally:
        reporter.close()
        manager.close()
        if best_manager is not None:
            best_manager.close()
    stopped_by = stopped_by if step < config.steps else None
    result = TrainResult(state, run_dir, last_line, speed.rate, stopped_by)
    if reporter.active:
        lines = run_folder.read_metrics(run_dir)
        pictures.loss_plot(lines, run_dir / "losses.png")
        pictures.progress_gif(sorted((run_dir / run_folder.SAMPLES).glob("step_*.png")), run_dir / "progress.gif")
    return result


class _Speed:
    """Examples per second from the end of the first dispatch (which compiles) on."""

    def __init__(self, batch_size: int, start_step: int):
        self.batch_size = batch_size
        self.began, self.first_end, self.first_seconds = time.monotonic(), None, 0.0
        self.rate = self.seconds_per_step = 0.0

    def absorbed(self, end: int) -> None:
        now = time.monotonic()
        if self.first_end is None:
            self.first_end, self.first_time, self.first_seconds = end, now, now - self.began
        else:
            self.seconds_per_step = (now - self.first_time) / (end - self.first_end)
            self.rate = self.batch_size / self.seconds_per_step


@contextlib.contextmanager
def _stop_requested() -> Iterator[Any]:
    """`stop(dispatch_number)` gives the name of the signal that asks the run to end, or None.

    In one process Ctrl-C and SIGTERM are caught here (a second Ctrl-C interrupts at once). Across processes jax's
    preemption service sees SIGTERM and lets all processes stop behind the same dispatch.
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


def with_sharding(target: TrainState, mesh: Any) -> TrainState:
    """Shapes of a state with "whole on every device of the mesh" as their sharding, as a target for restoring."""
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    return jax.tree.map(lambda s: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=sharding), target)


def take_weights(state: TrainState, run_dir: Path) -> TrainState:
    """`state` with the parameters, model state and averages of another run's latest checkpoint.

    Raises:
      UserError: not a run, or its networks are not of these shapes.
    """
    run_folder.read_record(run_dir)
    mesh = device_mesh(1)
    target = with_sharding(jax.eval_shape(lambda: state), mesh)
    other, _ = checkpoint.restore_latest(run_dir / checkpoint.FOLDER, target)
    return state.replace(params=other.params, model_state=other.model_state, ema_params=other.ema_params)


def _shared_path(make: Any) -> Path:
    """A path chosen by process 0 and told to all."""
    if jax.process_count() == 1:
        return make()
    from jax.experimental import multihost_utils

    text = np.zeros(4096, np.uint8)
    if jax.process_index() == 0:
        try:
            encoded = str(make()).encode()
        except UserError as error:
            encoded = b"!" + str(error).encode()
        text[: len(encoded)] = np.frombuffer(encoded, np.uint8)
    answer = bytes(np.asarray(multihost_utils.broadcast_one_to_all(jnp.asarray(text)))).rstrip(b"\0").decode()
    if answer.startswith("!"):
        raise UserError(answer[1:])
    return Path(answer)


def _not_finite(what: str, run_dir: Path) -> str:
    steps = checkpoint.steps_on_disk(run_dir / checkpoint.FOLDER)
    kept = (
        f"The last good checkpoint is step {steps[0]} in {run_dir}"
        if steps
        else f"No checkpoint was saved yet in {run_dir}"
    )
    return f"Stopped: {what} is not finite. {kept}; lower the learning rate or look at losses.png for where it began."


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("jaxgen", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")}
