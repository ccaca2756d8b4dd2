"""The folder of a run: where it is, what it holds, and how it is opened again.

runs/mnist_gan/001/
    config.json           experiment, options, assets, shapes of a batch, versions, machine
    experiment.py         a copy of the experiment's file, if that is not part of the package
    metrics.jsonl         one JSON object a line: step and means since the line before
    tensorboard/          the same for TensorBoard
    samples/step_*        sample sheets (.png), texts (.txt) or sounds (.wav, .png), always of the same noise
    progress.gif          the sheets in a row
    losses.png            metrics.jsonl as a plot
    checkpoints/STEP/     the whole state (orbax)
    checkpoints_best/STEP/   with --best-metric
    evaluation.json       what `jaxgen evaluate` found, with how it was made
    nearest.png           the samples nearest to training images over those; then some from near to far
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

from jaxgen.errors import UserError
from jaxgen.training import checkpoint

CONFIG = "config.json"
METRICS = "metrics.jsonl"
SAMPLES = "samples"
BEST = "checkpoints_best"
EXPERIMENT = "experiment.py"
PROGRESS = "progress.gif"
LOSSES = "losses.png"
TENSORBOARD = "tensorboard"
EVALUATION = "evaluation.json"
NEAREST = "nearest.png"
_OURS = (
    CONFIG,
    EXPERIMENT,
    METRICS,
    TENSORBOARD,
    SAMPLES,
    PROGRESS,
    LOSSES,
    EVALUATION,
    NEAREST,
    checkpoint.FOLDER,
    BEST,
)


def numbered_runs(root: Path) -> list[Path]:
    """The runs 001, 002, ... in `root`, oldest first."""
    runs = [p for p in root.glob("[0-9]*") if p.name.isdigit() and p.is_dir()] if root.is_dir() else []
    return sorted(runs, key=lambda p: int(p.name))


def next_free(root: Path) -> Path:
    """Creates and returns the next free numbered folder of `root` (two runs started at once get two)."""
    root.mkdir(parents=True, exist_ok=True)
    number = max((int(p.name) for p in numbered_runs(root)), default=0)
    while True:
        number += 1
        try:
            (root / f"{number:03d}").mkdir()
        except FileExistsError:
            continue
        return root / f"{number:03d}"


def is_run(folder: Path) -> bool:
    """Whether a folder is the folder of a run."""
    return (folder / CONFIG).is_file()


def create(run_dir: Path | None, root: Path, *, overwrite: bool) -> Path:
    """The folder of a new run, made and empty of an earlier run's files.

    Raises:
      UserError: `run_dir` exists and `overwrite` is not given, or it holds something that is not a run.
    """
    if run_dir is None:
        return next_free(root)
    if run_dir.exists() and not run_dir.is_dir():
        raise UserError(f"--run-dir {run_dir} is a file: name a folder.")
    if run_dir.is_dir() and any(run_dir.iterdir()):
        if not overwrite:
            raise UserError(
                f"The run folder {run_dir} exists: give --resume to continue it, --overwrite to replace it, or another "
                "--run-dir."
            )
        if not is_run(run_dir):
            raise UserError(
                f"--overwrite replaces only the folder of a run, and {run_dir} has no {CONFIG}: name another --run-dir."
            )
        for name in _OURS:
            path = run_dir / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"The run folder {run_dir} cannot be made ({error.strerror}): name another --run-dir."
        ) from error
    return run_dir


def find(run_dir: Path | None, root: Path) -> Path:
    """The folder of the run to resume: the one named, or the latest of `root`.

    Raises:
      UserError: there is none.
    """
    if run_dir is not None:
        if not is_run(run_dir):
            raise UserError(f"There is no run to resume in {run_dir} (no {CONFIG} there): check the path.")
        return run_dir
    runs = [p for p in numbered_runs(root) if is_run(p)]
    if not runs:
        raise UserError(
            f"There is no run to resume in {root}: leave out --resume to start one, or name it with --run-dir."
        )
    return runs[-1]


def write_json(path: Path, value: Any) -> None:
    """Writes JSON so that a killed process leaves either the old file or the new one."""
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(value, indent=2) + "\n")
    os.replace(part, path)


def read_record(run_dir: Path) -> dict[str, Any]:
    """config.json of a run.

    Raises:
      UserError: not the folder of a run, or the file is damaged.
    """
    run_dir = Path(run_dir)
    if not is_run(run_dir):
        raise UserError(f"{run_dir} is not the folder of a run (no {CONFIG} there): check the path.")
    try:
        record = json.loads((run_dir / CONFIG).read_text())
        keys = ("experiment", "config", "assets", "batch", "versions")
        if missing := [key for key in keys if not isinstance(record, dict) or not isinstance(record.get(key), dict)]:
            raise ValueError(f"it lacks {', '.join(missing)}")
        return record
    except ValueError as error:
        raise UserError(f"{run_dir / CONFIG} is damaged ({error}): restore it, or start a new run.") from error


def cut_back(run_dir: Path, step: int) -> None:
    """Removes what was reported behind `step`: lines of metrics.jsonl and samples."""
    path = run_dir / METRICS
    if path.is_file():
        kept = []
        for line in path.read_text().splitlines(keepends=True):
            try:
                if not line.endswith("\n") or json.loads(line)["step"] > step:
                    continue
            except (json.JSONDecodeError, KeyError):
                continue  # the half line of a killed process
            kept.append(line)
        part = path.with_name(path.name + ".part")
        part.write_text("".join(kept))
        os.replace(part, path)
    for shown in samples(run_dir):
        if int(shown.stem.removeprefix("step_")) > step:
            shown.unlink()


def samples(run_dir: Path) -> list[Path]:
    """The files of samples, oldest first."""
    return sorted((run_dir / SAMPLES).glob("step_[0-9]*.*"))


def sheets(run_dir: Path) -> list[Path]:
    """Those that are pictures."""
    return [path for path in samples(run_dir) if path.suffix == ".png"]


def read_metrics(run_dir: Path) -> list[dict[str, float]]:
    """The lines of metrics.jsonl."""
    path = Path(run_dir) / METRICS
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
