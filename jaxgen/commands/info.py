"""`jaxgen info RUN`: what a run is, how far it got, how it went."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jax
import tyro
from rich.table import Table

from jaxgen.commands._options import RunOptions, open_named, parse
from jaxgen.core.terminal import console
from jaxgen.runs.opened_run import state_shapes
from jaxgen.training import checkpoint, run_folder


@dataclass(frozen=True)
class Options(RunOptions):
    """Says what a run is: options, networks, checkpoints, last figures."""

    run: tyro.conf.Positional[Path]
    """The folder of the run."""


def main(arguments: Sequence[str]) -> None:
    options = parse(Options, "info", arguments)
    run = open_named(options.run, options)
    record = run.record
    state = state_shapes(run)
    steps = sorted(checkpoint.steps_on_disk(run.folder / checkpoint.FOLDER))
    lines = run_folder.read_metrics(run.folder)
    latest: dict[str, float] = {}
    for line in lines:
        latest |= line
    facts = {
        "experiment": f"{run.experiment.name}: {run.experiment.summary}",
        "steps": f"{steps[-1] if steps else 0} of {run.config.steps}",
        "checkpoints": ", ".join(map(str, steps)) or "none",
        "made with": ", ".join(f"{name} {number}" for name, number in record["versions"].items()),
    }
    for name, params in state.params.items():
        facts[f"{name}"] = f"{sum(x.size for x in jax.tree.leaves(params)):,} parameters"
    for name, value in latest.items():
        facts[name] = f"{value:g}"
    default = run.experiment.presets["default"]
    for name, value in record["config"].items():
        changed = value != getattr(default, name) and name != "run_dir"
        facts[f"--{name.replace('_', '-')}"] = f"{value}{'   (not the default)' if changed else ''}"
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in facts.items():
        table.add_row(name, value)
    console().print(table)
