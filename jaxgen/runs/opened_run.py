"""A run that is opened again from its folder alone: its experiment, model and state."""

import contextlib
import dataclasses
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

from jaxgen.core import files, option_groups
from jaxgen.core.errors import UserError
from jaxgen.core.model import GenerativeModel, ModelSpec, as_model
from jaxgen.core.options import Count, Seed, check_options
from jaxgen.core.state import TrainState
from jaxgen.core.types import Json
from jaxgen.runs.experiment import Experiment
from jaxgen.runs.experiment_loading import load_experiment
from jaxgen.samples.numbered import draw_samples
from jaxgen.samples.pictures import curves_of, metrics_figure
from jaxgen.training import checkpoint, run_folder, trusted
from jaxgen.training.config import TrainConfig, config_from_json, validate
from jaxgen.training.parallel import device_mesh
from jaxgen.training.run_setup import with_sharding

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Series(NamedTuple):
    """A metric over the steps of a run."""

    steps: np.ndarray
    """int [N], rising."""
    values: np.ndarray
    """float64 [N]."""


@dataclass(frozen=True)
class _Draw:
    """The numbers of a call of `Run.sample`, to hold them against their ranges."""

    num: Count
    seed: Seed


@dataclass(frozen=True, eq=False, repr=False)
class Run:
    """A run that was opened again: its model, config, states and metrics.

        run = jaxgen.open_run("runs/mnist_vae/001")
        images = run.sample(64, seed=1)                                # [64, 28, 28, 1] in [-1, 1]
        latents = run.model.latents.encode(run.state(), images)        # [64, L]

    A capability of `run.model` that the model does not have is None.
    """

    folder: Path
    record: Json
    """The content of config.json."""
    experiment: Experiment | None
    """The run's experiment; None: the run was made by `jaxgen.train` in a script."""
    config: TrainConfig
    model: GenerativeModel
    moved: Mapping[str, Any] = field(default_factory=dict)
    """New places of the run's data if they were moved: `data`, `target`."""

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r}, of {self.name})"

    @property
    def name(self) -> str:
        """The name of the experiment or script that was run."""
        return self.record["experiment"]["name"]

    def state(self, which: str | int = "last") -> TrainState:
        """Return the state of a checkpoint, on one device.

        Args:
          which: "last", the latest whole checkpoint; "best", the one that --best-metric kept; or a step.

        Raises:
          UserError: there is no such checkpoint.
        """
        return restore_run(self, str(which))

    def metrics(self) -> dict[str, Series]:
        """Return every metric that was reported, by name."""
        return {
            name: Series(np.array([step for step, _ in points]), np.array([value for _, value in points], np.float64))
            for name, points in curves_of(run_folder.read_metrics(self.folder)).items()
        }

    def sample(self, num: int, *, seed: int = 0, checkpoint: str | int = "last", **options: Any) -> np.ndarray:
        """Draw samples [num, ...], those of `jaxgen sample --num NUM --seed SEED`: images in [-1, 1], or tokens.

        Args:
          num: number of samples; sample i does not depend on it.
          options: keywords of the model's `sample`, such as `condition`.

        Raises:
          UserError: the model has no samples, there is no such checkpoint, or `num` or `seed` is out of range.
        """
        check_options(_Draw(num, seed))
        if self.model.sample is None:
            raise UserError(f"{self.name} has no samples of its own.")
        return draw_samples(self.model, self.state(checkpoint), num=num, seed=seed, **options)

    def plot(self) -> "Figure":
        """Return a matplotlib figure of the metrics: a panel for each quantity, a curve for each network."""
        return metrics_figure(run_folder.read_metrics(self.folder))


def open_run(
    run_dir: str | Path,
    *,
    model: GenerativeModel | ModelSpec | None = None,
    experiment: str | Path | None = None,
    trust: bool = False,
) -> Run:
    """Return a run with its experiment, config and model, from its folder alone.

    The folder may come from anybody. An experiment of the package is found by its name; the `experiment.py` of a folder
    is executed only if `jaxgen.training.trusted` knows its content.

    Args:
      model: the trained model, for a run that a script made by `jaxgen.train`, since the folder does not define it.
      experiment: the file that defines the run's experiment, which is executed in place of the folder's copy.
      trust: execute the folder's copy even if it is unknown, and remember it as known.

    Raises:
      UserError: the folder is not a run, its experiment is not known, or `jaxgen.train` made it and `model` is missing.
    """
    run_dir = Path(run_dir)
    record = run_folder.read_record(run_dir)
    if model is not None:
        return Run(run_dir.absolute(), record, None, recorded_config(run_dir, record), as_model(model))
    module = record["experiment"]["module"]
    if module is not None and experiment is not None:
        raise UserError(f"{run_dir} is a run of the package's own {module!a}: leave out --experiment.")
    if module is not None:
        found = load_experiment(module, None)
    elif experiment is not None:
        found = load_experiment(None, Path(experiment))
    else:
        file = record["experiment"]["file"] or run_folder.EXPERIMENT
        found = dataclasses.replace(load_experiment(None, _known_copy(run_dir, trust)), file=file)
    config, model = build_recorded(found, record, str(run_dir / run_folder.CONFIG))
    return Run(run_dir.absolute(), record, found, config, model)


def was_made_by_script(run_dir: Path, record: Json) -> bool:
    """Return whether a run was made by `jaxgen.train` in a script, so that its folder does not define its model."""
    return record["experiment"]["module"] is None and not (run_dir / run_folder.EXPERIMENT).is_file()


def _known_copy(run_dir: Path, trust: bool) -> tuple[Path, bytes]:
    """Return the copy of the experiment's file in a run's folder, with its content, if it may be executed."""
    path = run_dir / run_folder.EXPERIMENT
    if not path.is_file():
        raise UserError(
            f"The run in {run_dir} was made by a script through jaxgen.train, which does not say how its model is "
            "built: open it in Python, jaxgen.open_run(FOLDER, model=...), or define a jaxgen.Experiment in a file and "
            "run that. jaxgen info needs no model."
        )
    content = files.read_bytes(path)
    if trust:
        trusted.remember(content)
    elif not trusted.is_known(content):
        raise UserError(
            f"To open {run_dir}, the program {path} would have to be run, which may do anything and is not known on "
            "this machine: name your own copy of it with --experiment FILE, train with that file once (it is "
            "remembered then), or read it and give --trust."
        )
    return path, content


def recorded_config(run_dir: Path, record: Json) -> TrainConfig:
    """Return a record's options that all runs have; those of its experiment are left out."""
    known = option_groups.places(TrainConfig)
    values = {name: value for name, value in record["config"].items() if name in known}
    return config_from_json(TrainConfig(), values, str(run_dir / run_folder.CONFIG))


def build_recorded(experiment: Experiment, record: Json, where: str) -> tuple[TrainConfig, GenerativeModel]:
    """Return the config and model that a record describes.

    Raises:
      UserError: the experiment cannot build a model of this record.
    """
    config = config_from_json(experiment.presets["default"], record["config"], where)
    validate(config.replace(wandb=None))  # reports are none of a reader's business
    with _described_by(where):
        return config, as_model(experiment.build_model(config, record["assets"]))


@contextlib.contextmanager
def _described_by(where: str) -> Iterator[None]:
    """Turn errors while a model is built from a record into a UserError about the record."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        lines = str(error).splitlines() or [""]
        raise UserError(
            f"{where} describes no model that can be built ({type(error).__name__}: {lines[0][:200]}): restore it, "
            "or open the run with the version of jaxgen, and of your own experiment's file, that made it."
        ) from error


def state_shapes(run: Run) -> TrainState:
    """Return the shapes of an opened run's state.

    Raises:
      UserError: the record of the run does not describe its model's inputs.
    """
    batch = {
        name: jax.ShapeDtypeStruct((2, *entry["shape"]), entry["dtype"]) for name, entry in run.record["batch"].items()
    }
    with _described_by(str(run.folder / run_folder.CONFIG)):
        return jax.eval_shape(run.model.init, jax.eval_shape(lambda: jax.random.key(0)), batch)


def restore_run(run: Run, which: str = "last") -> TrainState:
    """Return the state of an opened run, on one device.

    Args:
      which: "last", the latest whole checkpoint; "best", the one that --best-metric kept; or a step.

    Raises:
      UserError: there is no such checkpoint.
    """
    target = with_sharding(state_shapes(run), device_mesh(1))
    folder = run.folder / (run_folder.BEST if which == "best" else checkpoint.FOLDER)
    if which == "best" and not checkpoint.steps_on_disk(folder):
        raise UserError(
            f"{run.folder} kept no best checkpoint: train with --best-metric NAME, or use --checkpoint last."
        )
    step = files.number_of(which)
    if which not in ("best", "last") and step is None:
        raise UserError(f"--checkpoint is best, last or a step, not {which!r}.")
    return checkpoint.restore_latest(folder, target, warn=lambda text: print(text, file=sys.stderr), step=step)[0]
