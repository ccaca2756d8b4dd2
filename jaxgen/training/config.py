"""Options of every run, and the messages when they do not fit."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

import numpy as np

from jaxgen.core import option_groups
from jaxgen.core.errors import UserError
from jaxgen.core.options import (
    Count,
    CountFromZero,
    Like,
    Seed,
    Text,
    check_options,
    option,
    option_types,
    within,
)
from jaxgen.core.types import Json
from jaxgen.samples.scores import MetricNames

_Config = TypeVar("_Config", bound="TrainConfig")


@dataclass(frozen=True)
class RunOptions:
    """How long a model is trained, and the folder of the run."""

    preset: Literal["quick", "default", "full"] = "default"
    """Named settings of this experiment; options given explicitly take precedence."""
    steps: Count = 10_000
    """Total number of training steps of the run."""
    batch_size: Annotated[int, *within(1, 2**20)] = 128
    """Examples per step, over all devices together."""
    seed: Seed = 0
    """Seed of the weights, the noise and the order of the data."""
    run_dir: Path | None = None
    """Folder of the run. None: the next free runs/NAME/001, 002, ..."""
    resume: bool = False
    """Continue a run bit for bit: the latest of this experiment, or the one named (--resume RUN)."""
    overwrite: bool = False
    """Delete the content of an existing --run-dir and start anew."""
    init_from: Path | None = None
    """Start from the weights of another run (a run folder); the optimizers start afresh."""


@dataclass(frozen=True)
class ReportOptions:
    """The reports of a run, and how often they are written."""

    log_every: CountFromZero = 100
    """Steps between lines of metrics.jsonl (means over those steps). 0: only at the end."""
    sample_every: CountFromZero = 1_000
    """Steps between samples (sheets of images, texts, sounds), always of the same latents. 0: only at the end."""
    checkpoint_every: CountFromZero = 2_000
    """Steps between checkpoints; one is always kept at the end. 0: only at the end."""
    keep_checkpoints: Count = 2
    """Number of latest checkpoints to keep."""
    keep_checkpoint_every: Count | None = None
    """Also keep every checkpoint whose step is a multiple of this. None: no others."""
    wandb: Text | None = None
    """Also report to this Weights & Biases project (needs the extra 'wandb')."""


@dataclass(frozen=True)
class EvaluationOptions:
    """How a model is evaluated during training, and which checkpoint counts as the best."""

    eval_every: CountFromZero = 0
    """Steps between evaluations on the held-out examples. 0: only at the end."""
    eval_metrics: MetricNames | None = None
    """Scores of samples at each evaluation, names separated by commas (fid,kid,..., see jaxgen evaluate)."""
    eval_samples: Annotated[int, *within(2, 10**9)] = 2_000
    """Number of samples for --eval-metrics, and maximum number of held-out images they are compared with."""
    best_metric: Text | None = None
    """Keep in checkpoints_best/ the checkpoint with the best value of this evaluation metric, e.g. eval/fid."""
    best_is: Literal["max", "min"] = "max"
    """Whether the largest or the smallest value of --best-metric is the best."""


@dataclass(frozen=True)
class HardwareOptions:
    """Devices and processes of a run; its results do not depend on them beyond rounding."""

    devices: Count | None = None
    """Number of devices to use. None: all; on a CPU one. There 2 or more use as many cores, which is often faster."""
    steps_per_dispatch: Count = 50
    """Steps run on the device between two returns to Python (results do not depend on it)."""
    deterministic: bool = False
    """On a GPU: use only algorithms that compute the same bits every time (slower)."""
    coordinator: Annotated[str, Like(r"auto|\S+:\d{1,5}", "be HOST:PORT or auto")] | None = None
    """Run over several processes: HOST:PORT of process 0, or "auto" for the cluster's own environment."""
    num_processes: Count | None = None
    """With --coordinator HOST:PORT: the number of processes."""
    process_id: CountFromZero | None = None
    """With --coordinator HOST:PORT: the number of this process, from 0."""


@dataclass(frozen=True)
class TrainConfig:
    """Options of training: steps, reports, evaluation and hardware.

    Experiments add further groups (see `jaxgen.core.option_groups`).
    """

    run: RunOptions = RunOptions()
    reports: ReportOptions = ReportOptions()
    evaluation: EvaluationOptions = EvaluationOptions()
    hardware: HardwareOptions = HardwareOptions()

    def replace(self, **options: object) -> Self:
        """Return a config with other values of some options, by their names, whichever groups they are in.

            TrainConfig().replace(steps=500, run_dir="runs/mine")

        Text will do for a path, a list for a tuple, and a number of NumPy for one of Python.

        Raises:
          TypeError: there is no such option.
        """
        kinds = option_types(type(self))
        plain = {
            name: _plain(value, str(kinds[name][0])) if name in kinds else value for name, value in options.items()
        }
        return option_groups.replace(self, **plain)


def _plain(value: object, kind: str) -> object:
    """Return what an option of a type holds where `value` was given, in Python or in JSON."""
    if isinstance(value, list | tuple) and "tuple" in kind:
        return tuple(_plain(item, kind) for item in value)
    if isinstance(value, np.generic):
        return value.item()
    return Path(value) if "Path" in kind and isinstance(value, str) and value else value


SHOWN_FIRST = ("run", "data", "model", "network", "optimizer")
SHOWN_LAST = ("reports", "evaluation", "hardware")
"""Groups at the beginning and at the end of `--help`, where the options that people change most come first."""

MAY_CHANGE_ON_RESUME = frozenset(
    {
        "preset",
        "run_dir",
        "steps",
        "devices",
        "steps_per_dispatch",
        "checkpoint_every",
        "keep_checkpoints",
        "keep_checkpoint_every",
        "log_every",
        "sample_every",
        "eval_every",
        "eval_metrics",
        "eval_samples",
        "eval_importance_samples",
        "best_metric",
        "best_is",
        "resume",
        "overwrite",
        "init_from",  # the start of a run, which is not read again
        "wandb",
        "coordinator",
        "num_processes",
        "process_id",
        "data_dir",
    }
)
"""Options that do not change what is computed; all others must be unchanged when a run is resumed."""


def validate(config: TrainConfig) -> None:
    """Refuse values that are out of range, and options that exclude each other.

    Raises:
      UserError: an option is not valid; the sentence names it.
    """
    check_options(config)
    run = config.run
    if run.steps * run.batch_size >= 2**32:
        raise UserError(
            f"--steps {run.steps} times --batch-size {run.batch_size} must stay below 2**32 examples: lower "
            "one of them."
        )
    if config.reports.wandb is not None and importlib.util.find_spec("wandb") is None:
        raise UserError("--wandb needs the package wandb: pip install 'jaxgen[wandb]'.")
    if run.resume and run.overwrite:
        raise UserError("--resume and --overwrite exclude each other: give one of them.")
    if run.resume and run.init_from is not None:
        raise UserError("--resume continues a run and --init-from starts a new one: give one of them.")


def config_to_json(config: TrainConfig) -> Json:
    """Return a config's options as JSON values, by name: paths as text, tuples as lists."""
    return {
        name: str(value) if isinstance(value, Path) else value for name, value in option_groups.values(config).items()
    }


FORMER_NAMES = {"optimiser": "optimizer", "binarisation": "binarization"}
"""Options that runs of earlier versions have under another name."""


def current_name(name: str) -> str:
    """Return the present name of an option that a run may have recorded under a former one."""
    return FORMER_NAMES.get(name, name)


def config_from_json(default: _Config, values: Json, where: str = "config.json") -> _Config:
    """Return the config that `config_to_json` wrote; missing options are as in `default`.

    Raises:
      UserError: `values` has an option that `default` lacks (a run of another version), or a value is not of the type
        or in the range of its option.
    """
    values = {current_name(name): value for name, value in values.items()}
    if unknown := sorted(values.keys() - option_types(type(default)).keys()):
        raise UserError(
            f"{where} has options this version of the experiment does not know ({', '.join(unknown)}): "
            "use the version of jaxgen that made the run."
        )

    config = default.replace(**values)
    check_options(config, where)
    return config


def refuse_changes(old: TrainConfig, new: TrainConfig) -> None:
    """Refuse to resume with other options than those that may change.

    Raises:
      UserError: options differ; the message names them with both values.
    """
    before, after = option_groups.values(old), option_groups.values(new)
    changed = [
        f"{option(name)} (was {before[name]}, now {after[name]})"
        for name in before
        if name not in MAY_CHANGE_ON_RESUME and before[name] != after[name]
    ]
    if changed:
        allowed = ", ".join(
            option(name)
            for name in sorted(MAY_CHANGE_ON_RESUME - {"preset", "resume", "overwrite", "run_dir", "init_from"})
        )
        raise UserError(
            f"A resumed run must keep its options, but these differ: {', '.join(changed)}. Leave them out, or start a "
            f"new run (which may take its weights: --init-from). These may change: {allowed}."
        )
