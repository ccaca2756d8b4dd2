"""The folder of a run: its location, its content, and how it is reopened.

runs/mnist_gan/001/
    config.json           experiment, options, assets, shapes of a batch, versions, machine, a fingerprint of the data
    data.json             the names and digests of the items that are trained on or held out
    experiment.py         a copy of the experiment's file, if that is not part of the package
    metrics.jsonl         one JSON object a line: step and means since the line before
    tensorboard/          the same for TensorBoard
    samples/step_*        sample sheets (.png), texts (.txt) or sounds (.wav, .png), always of the same noise
    progress.gif          the sheets in a row
    losses.png            metrics.jsonl as a plot
    checkpoints/STEP/     the whole state (orbax)
    checkpoints_best/STEP/   with --best-metric
    evaluation.json       the results of `jaxgen evaluate`, and how they were made
    nearest.png           the samples nearest to training images, above those images; then some from near to far
    .lock                 while a process trains the run: which one, and since when

A run writes and removes only these, and nothing through a symbolic link, except that `checkpoints` may be a link to a
folder on another disk.
"""

import errno
import json
import math
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from jaxgen.core import files
from jaxgen.core.errors import UserError
from jaxgen.core.json_values import from_json, read_json
from jaxgen.core.types import Json
from jaxgen.training import checkpoint_folder, run_lock
from jaxgen.training.record_schema import check_record

CONFIG = "config.json"
DATA = "data.json"
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
    DATA,
    EXPERIMENT,
    METRICS,
    TENSORBOARD,
    SAMPLES,
    PROGRESS,
    LOSSES,
    EVALUATION,
    NEAREST,
    checkpoint_folder.FOLDER,
    BEST,
)


_MOST_LINE_BYTES = 2**20
_SAMPLE = re.compile(r"step_([0-9]{7,18})\.(png|txt|wav)")
_LINKABLE = (checkpoint_folder.FOLDER, BEST)


def _warn(text: str) -> None:
    print(text, file=sys.stderr)


def numbered_runs(root: Path) -> list[Path]:
    """Return the runs 001, 002, ... in `root`, oldest first."""
    runs = [p for p in root.iterdir() if files.number_of(p.name) is not None and p.is_dir()] if root.is_dir() else []
    return sorted(runs, key=lambda p: int(p.name))


def next_free(root: Path) -> Path:
    """Create and return the next free numbered folder of `root` (two runs started at once get two).

    Raises:
      UserError: the folder cannot be created.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        number = max((int(p.name) for p in numbered_runs(root)), default=0)
        while True:
            number += 1
            try:
                (root / f"{number:03d}").mkdir()
            except FileExistsError:
                continue
            return root / f"{number:03d}"
    except OSError as error:
        raise _no_folder(root, error) from error


def _no_folder(folder: Path, error: OSError) -> UserError:
    if isinstance(error, FileExistsError):  # a file where a folder should be
        error = OSError(errno.ENOTDIR, "", error.filename)
    return UserError(
        f"The run folder {folder} cannot be made ({files.explain(error)}): name one that can with --run-dir."
    )


def is_run(folder: Path) -> bool:
    """Return whether a folder is the folder of a run."""
    try:
        return (folder / CONFIG).is_file()
    except OSError:  # the name is too long, or the folder may not be read
        return False


def create(run_dir: Path | None, root: Path, *, overwrite: bool) -> Path:
    """Return the folder of a new run, created if necessary. An earlier run in it is unchanged until `clear`.

    Raises:
      UserError: `run_dir` exists and `overwrite` is not set, or it holds something that is not a run.
    """
    if run_dir is None:
        return next_free(root)
    try:
        if run_dir.exists() and not run_dir.is_dir():
            raise UserError(f"--run-dir {run_dir} is a file: name a folder.")
        if run_dir.is_dir() and any(path.name != run_lock.LOCK for path in run_dir.iterdir()):
            if not overwrite:
                raise UserError(
                    f"The run folder {run_dir} exists: give --resume to continue it, --overwrite to replace it, or "
                    "another --run-dir."
                )
            if not is_run(run_dir):
                raise UserError(
                    f"--overwrite replaces only the folder of a run, and {run_dir} has no {CONFIG}: name another "
                    "--run-dir."
                )
            check_links(run_dir, ())
        run_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _no_folder(run_dir, error) from error
    return run_dir


def check_links(run_dir: Path, allowed: tuple[str, ...] = _LINKABLE) -> None:
    """Refuse a run with symbolic links among its parts, since files written through them would be elsewhere.

    Raises:
      UserError: a part is a link, which the message names; nothing was changed.
    """
    for name in _OURS:
        path = run_dir / name
        if name not in allowed and path.is_symlink():
            raise UserError(
                f"{path} is a symbolic link, and a run writes and removes nothing through one: remove the link, or "
                "put what it points at in its place."
            )


def clear(run_dir: Path) -> None:
    """Remove all files that an earlier run wrote to its folder; other files stay.

    Raises:
      UserError: a part of the run is a symbolic link (then nothing is removed), or cannot be removed.
    """
    check_links(run_dir, ())
    try:
        files.remove_parts(run_dir)
        for name in _OURS:
            path = run_dir / name
            if not path.is_dir():
                path.unlink(missing_ok=True)
                continue
            files.remove_parts(path)
            for part in path.iterdir():
                if _is_own(part):
                    files.remove_tree(part)
            if not any(path.iterdir()):
                path.rmdir()
    except OSError as error:
        raise UserError(
            f"The run in {run_dir} cannot be removed ({files.explain(error)}): name another --run-dir."
        ) from error


def find(run_dir: Path | None, root: Path) -> Path:
    """Return the folder of the run to resume: the one named, or the latest of `root`.

    Raises:
      UserError: there is no such run.
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


def write_json(path: Path, value: object) -> None:
    """Write JSON so that a killed process leaves either the old file or the new one."""
    files.write_atomically(path, json.dumps(value, indent=2) + "\n")


def read_record(run_dir: Path) -> Json:
    """Return config.json of a run, after checking the type and range of every key.

    Raises:
      UserError: the folder is not that of a run, or the file is damaged.
    """
    run_dir = Path(run_dir)
    if not is_run(run_dir):
        raise UserError(f"{run_dir} is not the folder of a run (no {CONFIG} there): check the path.")
    record = read_json(run_dir / CONFIG, check_record)
    return {"kind": "image", **record}  # earlier versions had only images


def kept_asset(run_dir: Path, name: str) -> Any:
    """Return an asset of a run that is resumed.

    Raises:
      UserError: its config.json does not have the asset.
    """
    assets = read_record(run_dir)["assets"]
    if name not in assets:
        raise UserError(f"{run_dir / CONFIG} is damaged (assets lacks {name}): restore it, or start a new run.")
    return assets[name]


def truncate_after(run_dir: Path, step: int) -> list[str]:
    """Remove the metrics and samples recorded after `step`, and files that a killed process left half-written.

    Returns:
      Messages on files that are not the run's, which stay.
    """
    path, messages = run_dir / METRICS, []
    if path.is_file():
        lines = read_metrics(run_dir, messages.append)
        kept = [json.dumps(line) + "\n" for line in lines if line["step"] <= step]
        files.write_atomically(path, "".join(kept))
    for folder in (run_dir, run_dir / SAMPLES):
        files.remove_parts(folder)
    for shown in samples(run_dir):
        if int(shown.stem.removeprefix("step_")) > step:
            shown.unlink()
    for folder in (SAMPLES, *_LINKABLE):
        messages += _strangers(run_dir / folder)
    return messages


def _is_own(path: Path) -> bool:
    """Return whether an entry of a run's folders is named, and of the kind, as what the run writes there."""
    if path.parent.name == SAMPLES:
        return bool(_SAMPLE.fullmatch(path.name)) and path.is_file() and not path.is_symlink()
    if path.parent.name == TENSORBOARD:
        return path.name.startswith("events.out.tfevents.")
    return checkpoint_folder.is_part(path)


def _strangers(folder: Path) -> list[str]:
    """Return a message about files in a folder that no run wrote, if there are any."""
    others = sorted(ascii(path.name)[1:-1] for path in folder.iterdir() if not _is_own(path)) if folder.is_dir() else []
    if not others:
        return []
    names = ", ".join(others[:3]) + (f" and {len(others) - 3} more" if len(others) > 3 else "")
    return [f"{folder} holds what the run did not write, which is left alone: {names}."]


def samples(run_dir: Path) -> list[Path]:
    """Return the files of samples, oldest first."""
    folder = run_dir / SAMPLES
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _is_own(path))


def sheets(run_dir: Path) -> list[Path]:
    """Return the files of samples that are pictures."""
    return [path for path in samples(run_dir) if path.suffix == ".png"]


def read_metrics(run_dir: Path, warn: Callable[[str], object] = _warn) -> list[dict[str, float]]:
    """Return the readable lines of metrics.jsonl; report by `warn` how many others there are."""
    path = Path(run_dir) / METRICS
    if not path.is_file():
        return []
    lines = list(_metric_lines(path))
    if damaged := lines.count(None):
        warn(f"{path} has {damaged} damaged line{'s' if damaged > 1 else ''}, passed over.")
    return [line for line in lines if line is not None]


def _metric_lines(path: Path) -> Iterator[dict[str, float] | None]:
    """Yield each line's figures; None for a line that is torn, or not an object of finite numbers with a step."""
    with path.open("rb") as file:
        while line := file.readline(_MOST_LINE_BYTES):
            try:
                values = from_json(json.loads(line.decode()), dict[str, float])
                whole = line.endswith(b"\n") and type(values.get("step")) is int and values["step"] >= 0
                yield values if whole and all(map(math.isfinite, values.values())) else None
            except (ValueError, RecursionError, OverflowError):
                yield None
