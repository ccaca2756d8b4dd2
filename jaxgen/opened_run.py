"""A run that is opened again from its folder alone: its experiment, model and state."""

import dataclasses
import sys
from pathlib import Path
from typing import Any, NamedTuple

import jax

from jaxgen.errors import UserError
from jaxgen.experiment import Experiment, load_experiment
from jaxgen.training import checkpoint, run_folder
from jaxgen.training.config import TrainConfig, config_from_json
from jaxgen.training.parallel import device_mesh
from jaxgen.training.start import with_sharding
from jaxgen.training.state import GenerativeModel, TrainState


class Run(NamedTuple):
    """A run that was opened again."""

    folder: Path
    record: dict[str, Any]
    experiment: Experiment
    config: TrainConfig
    model: GenerativeModel


def open_run(run_dir: Path) -> Run:
    """The experiment, config and model of a run, from its folder alone.

    Raises:
      UserError: not a run, or one that was made by `jaxgen.train` without an experiment.
    """
    record = run_folder.read_record(run_dir)
    where = record["experiment"]
    copy = Path(run_dir) / run_folder.EXPERIMENT
    if where["module"] is None and not copy.is_file():
        raise UserError(
            f"The run in {run_dir} was made by a script through jaxgen.train, which does not say how its model is "
            "built, so no command can open it: define a jaxgen.Experiment in a file and run that."
        )
    experiment = load_experiment(where["module"], copy)
    if where["module"] is None:
        experiment = dataclasses.replace(experiment, file=where["file"])  # its name is not that of the copy
    default = experiment.presets["default"]
    config = config_from_json(type(default), record["config"], str(Path(run_dir) / run_folder.CONFIG))
    return Run(Path(run_dir), record, experiment, config, experiment.build_model(config, record["assets"]))


def state_shapes(run: Run) -> TrainState:
    """The shapes of an opened run's state."""
    batch = {
        name: jax.ShapeDtypeStruct((2, *entry["shape"]), entry["dtype"]) for name, entry in run.record["batch"].items()
    }
    return jax.eval_shape(run.model.init, jax.eval_shape(lambda: jax.random.key(0)), batch)


def restore_run(run: Run, which: str = "last") -> TrainState:
    """The state of an opened run, on one device.

    Args:
      which: "last": the latest whole checkpoint; "best": the one that --best-metric kept; or a step.

    Raises:
      UserError: there is no such checkpoint.
    """
    target = with_sharding(state_shapes(run), device_mesh(1))
    folder = run.folder / (run_folder.BEST if which == "best" else checkpoint.FOLDER)
    if which == "best" and not checkpoint.steps_on_disk(folder):
        raise UserError(
            f"{run.folder} kept no best checkpoint: train with --best-metric NAME, or use --checkpoint last."
        )
    if which not in ("best", "last") and not which.isdigit():
        raise UserError(f"--checkpoint is best, last or a step, not {which!r}.")
    step = int(which) if which.isdigit() else None
    return checkpoint.restore_latest(folder, target, warn=lambda text: print(text, file=sys.stderr), step=step)[0]
