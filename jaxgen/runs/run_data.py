"""The data of a run that is opened again, as it was trained on them."""

import dataclasses
import sys
from pathlib import Path

from jaxgen.core import option_groups
from jaxgen.core.errors import UserError
from jaxgen.core.terminal import printable
from jaxgen.core.types import present
from jaxgen.data.dataset import Dataset, length
from jaxgen.data.identity import Identity, changes
from jaxgen.data.splits import as_recorded
from jaxgen.runs.opened_run import Run
from jaxgen.training.config import TrainConfig
from jaxgen.training.data_record import UNCHECKED, identity_of, recorded_by


def load_run_data(run: Run, *, unchanged: bool = False) -> Dataset:
    """Return the data that a run was trained on, split as it recorded, with its own classes and vocabulary.

    If they have changed, one sentence on stderr says how, and only unchanged examples are taken: no training example of
    the run, and no new one, counts as held out.

    Args:
      run: the run, whose data are where they were, or in another place (`run.moved`).
      unchanged: whether to refuse data that have changed.

    Raises:
      UserError: the data are gone, nothing is left of a split, or they have changed where they must be the same.
    """
    config = _config_of(run)
    known = recorded_by(run.folder, run.record)
    with as_recorded(known):
        found = present(run.experiment).load_data(config)
    now, notes = identity_of(found), ()
    if known.identity is None:
        _say_unchecked(run, found)
    elif now is None:
        print(f"The data of {run.folder} do not say what they are made of: they are not checked.", file=sys.stderr)
    elif change := changes(known.identity, now):
        if run.moved or unchanged:
            which = " ".join(f"--{name} {value}" for name, value in run.moved.items()) or f"The data of {run.folder}"
            raise UserError(f"{which}: not what the run was trained on ({change}). Bring back what it was.")
        notes = (_say_changed(run, known.identity, now, change, found),)
        print(printable(notes[0]), file=sys.stderr)
    return dataclasses.replace(found, assets={**found.assets, **run.record["assets"]}, notes=notes)


def _config_of(run: Run) -> TrainConfig:
    """Return the run's config, with the current places of its data.

    Raises:
      UserError: the experiment has no such option, or the data are not in the run's place any more.
    """
    for name in run.moved:
        if name not in option_groups.places(type(run.config)):
            raise UserError(f"{run.name} has no option --{name}: leave it out.")
    for name in ("data", "target"):
        value = option_groups.value(run.config, name)
        if name not in run.moved and value is not None and Path(value).is_absolute() and not Path(value).exists():
            raise UserError(
                f"The data of {run.folder} are not in {value} any more: bring them back, or say where they are with "
                f"--{name} (a command without this option: move them back)."
            )
    return run.config.replace(**run.moved)


def _say_unchecked(run: Run, found: Dataset) -> None:
    before, now = run.record.get("data", {}).get("examples"), length(found.train)
    if before in (None, now):
        print(UNCHECKED, file=sys.stderr)
    elif run.moved:
        raise UserError(f"The run in {run.folder} was trained on {before} examples, but there are {now} now.")
    else:
        print(f"{UNCHECKED} It was trained on {before} examples, and there are {now} now.", file=sys.stderr)


def _say_changed(run: Run, before: Identity, now: Identity, change: str, found: Dataset) -> str:
    what = f"The data of {run.folder} have changed since it was trained: {change};"
    if before.wholes != now.wholes:
        return f"{what} what counts as held out now may be what it was trained on."
    if found.test is None:
        return f"{what} used are the {len(now.train):,} of it that are there unchanged."
    return f"{what} of the {len(before.test):,} held out the {len(now.test):,} that are there unchanged are used."
