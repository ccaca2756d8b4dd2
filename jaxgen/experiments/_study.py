"""Studies: a folder of runs that are trained one after another, and that can be resumed after a stop."""

import shlex
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar

from jaxgen.core.command_line import end_well
from jaxgen.core.errors import UserError
from jaxgen.core.json_values import from_json, read_json
from jaxgen.core.option_parsing import parse_options
from jaxgen.core.options import Count, Length, Seed
from jaxgen.core.terminal import printable
from jaxgen.runs.experiment import Experiment, Study, prepare_process, train_experiment
from jaxgen.training import checkpoint, run_folder
from jaxgen.training.config import TrainConfig

RESULTS = "results.json"
_SETTINGS = "study.json"


@dataclass(frozen=True)
class StudyOptions:
    """Options of every study."""

    run_dir: Path | None = None
    """Folder of the study. None: the next free one of runs/NAME/001, 002, ..."""
    resume: bool = False
    """Resume the latest study, or the one named by --run-dir."""
    seeds: Annotated[tuple[Seed, ...], Length(1, 1_000)] = (0, 1, 2)
    """Seeds of the runs, each of which has its own weights, noise, and selection of data if any are selected."""
    devices: Count | None = None
    """Number of devices to use. None: all."""


Options = TypeVar("Options", bound=StudyOptions)


Result = TypeVar("Result", bound=NamedTuple)


class Stopped(Exception):
    """A run was stopped by a signal."""


def run_study(
    study: Study,
    cls: type[Options],
    arguments: Sequence[str] | None,
    description: str | None,
    results: Callable[[Options, Path], Iterator[Result]],
    show: Callable[[list[Result], Path], None],
    *,
    settings: Sequence[str],
) -> int:
    """Run a study with command-line arguments (None: those of the process) and return the exit code.

    Args:
      cls: the class of the study's options.
      description: the beginning of --help.
      results: function that trains the runs missing in the folder and yields one result after another.
      show: function that prints and plots the results.
      settings: names of options of all runs, which must be the same when the study is resumed.
    """
    command = f"python -m jaxgen.experiments.{study.name}"
    root = Path("runs") / study.name

    def train_and_show() -> int:
        given = sys.argv[1:] if arguments is None else arguments
        options = parse_options(cls, given, prog=command, description=description or study.summary)
        if options.resume:
            folder = options.run_dir or next(reversed(run_folder.numbered_runs(root)), None)
            if folder is None or not folder.is_dir():
                raise UserError(f"There is no study to resume in {options.run_dir or root}: leave out --resume.")
        else:
            folder = run_folder.create(options.run_dir, root, overwrite=False)
        _check_same({name: getattr(options, name) for name in settings}, folder)
        prepare_process(TrainConfig().replace(devices=options.devices))
        found = []
        try:
            for result in results(options, folder):
                found.append(result)
                run_folder.write_json(folder / RESULTS, {"results": [r._asdict() for r in found]})
        except Stopped:
            print(f"\nStopped; go on with:\n  {command} --resume --run-dir {printable(shlex.quote(str(folder)))}")
            return 130
        show(found, folder)
        print(f"\n{printable(folder / RESULTS)}")
        return 0

    return end_well(train_and_show, fault_code=1)


def _check_same(settings: Mapping[str, object], folder: Path) -> None:
    """Record the settings of a study's runs, and refuse to resume it with others."""
    path = folder / _SETTINGS
    if path.is_file():
        before = read_json(path, _check_settings)
        if before != settings:
            raise UserError(f"The study in {folder} was begun with {before}: give the same, or start a new one.")
    else:
        run_folder.write_json(path, dict(settings))


def _check_settings(value: object) -> None:
    from_json(value, dict[str, Any])


def train_missing(experiment: Experiment, config: TrainConfig, where: Path) -> None:
    """Train a run, resume one that was stopped, and leave one that is done as it is."""
    steps = checkpoint.steps_on_disk(where / checkpoint.FOLDER)
    if steps and steps[0] >= config.run.steps:
        return
    print(f"\n== {where}", flush=True)
    # A run that was stopped before its first checkpoint starts again.
    config = config.replace(run_dir=where, resume=bool(steps), overwrite=where.is_dir() and not steps)
    if train_experiment(experiment, config).stopped_by is not None:
        raise Stopped


def mean_and_spread(values: Sequence[float]) -> str:
    """Return `mean ± standard deviation` as text, the latter for several values only."""
    spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.2f}{spread}"
