"""`jaxgen info RUN`: say what a run is and how far it got."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jax
import tyro
from rich.table import Table

from jaxgen.commands._options import RunOptions, open_named, parse
from jaxgen.core import option_groups
from jaxgen.core.terminal import console
from jaxgen.core.types import present
from jaxgen.runs.opened_run import recorded_config, state_shapes, was_made_by_script
from jaxgen.training import checkpoint, run_folder
from jaxgen.training.config import TrainConfig, current_name


@dataclass(frozen=True)
class Options(RunOptions):
    """Describe a run: options, networks, checkpoints, latest metrics."""

    run: tyro.conf.Positional[Path]
    """The folder of the run."""


def main(arguments: Sequence[str]) -> None:
    options = parse(Options, "info", arguments)
    record = run_folder.read_record(options.run)
    by_script = options.experiment is None and was_made_by_script(options.run, record)
    run = None if by_script else open_named(options.run, options)
    config = option_groups.values(run.config if run else recorded_config(options.run, record))
    steps = sorted(checkpoint.steps_on_disk(options.run / checkpoint.FOLDER))
    lines = run_folder.read_metrics(options.run)
    latest: dict[str, float] = {}
    for line in lines:
        latest |= line
    what = present(run.experiment).summary if run else "made by a script"
    facts = {
        "experiment": f"{record['experiment']['name']}: {what}",
        "steps": f"{steps[-1] if steps else 0} of {config['steps']}",
        "checkpoints": ", ".join(map(str, steps)) or "none",
        "made with": ", ".join(f"{name} {number}" for name, number in record["versions"].items()),
    }
    for name, params in state_shapes(run).params.items() if run else ():
        facts[f"{name}"] = f"{sum(x.size for x in jax.tree.leaves(params)):,} parameters"
    for name, value in latest.items():
        facts[name] = f"{value:g}"
    default = option_groups.values(present(run.experiment).presets["default"] if run else TrainConfig())
    for name, value in record["config"].items():
        now = current_name(name)
        changed = now in config and config[now] != default[now] and name != "run_dir"
        facts[f"--{name.replace('_', '-')}"] = f"{value}{'   (not the default)' if changed else ''}"
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in facts.items():
        table.add_row(name, value)
    console().print(table)
