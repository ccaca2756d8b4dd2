"""`jaxgen compare RUN RUN ...`: plot metrics of several runs together."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import tyro
from rich.table import Column, Table

from jaxgen.commands._options import parse
from jaxgen.commands._outputs import OutputOptions, check_output, writing
from jaxgen.core.errors import UserError
from jaxgen.core.terminal import console, tell
from jaxgen.samples.pictures import Points, curves_of, panels_figure
from jaxgen.training import run_folder
from jaxgen.training.config import current_name

OF_THE_CALL = (
    "run_dir",
    "resume",
    "overwrite",
    "preset",
    "devices",
    "wandb",
    "coordinator",
    "num_processes",
    "process_id",
)
"""Options that do not affect what was trained."""


RUNS_IN_A_TABLE = 5


@dataclass(frozen=True, kw_only=True)
class Options(OutputOptions):
    """Compare runs by the metrics they reported. Only their folders are needed, and no program in them is executed."""

    runs: tyro.conf.Positional[tuple[Path, ...]] = ()
    """The folders of two or more runs."""
    metrics: str | None = None
    """Names of metrics with commas between them, such as generator/loss,eval/fid. None: those of at least two runs."""
    out: Path = Path("compare.png")
    """The picture to write (.png), with a panel for each metric and a curve for each run."""


class Found(NamedTuple):
    """The record and the metrics of a run."""

    folder: Path
    record: dict[str, Any]
    curves: Mapping[str, Points]
    """(step, value) of each metric, by name."""


def main(arguments: Sequence[str]) -> None:
    options = parse(Options, "compare", arguments)
    if len(options.runs) < 2:
        raise UserError("Name the folders of two runs or more to compare.")
    check_output(options.out, (".png",), overwrite=options.overwrite)
    runs = [_read(folder) for folder in options.runs]
    names = _names(runs, options.metrics)
    terminal = console()
    for number, run in enumerate(runs, 1):
        terminal.print(f"{number}  {run.folder}  ({run.record['experiment']['name']})", soft_wrap=True)
    for table in _tables("last value", {name: [_last(run, name) for run in runs] for name in names}, len(runs)):
        print()
        terminal.print(table)
    for table in _tables("option", _different_options(runs), len(runs)):
        print()
        terminal.print(table)
    panels = {
        name: {f"{i} {run.folder}": run.curves[name] for i, run in enumerate(runs, 1) if name in run.curves}
        for name in names
    }
    figure = panels_figure(panels)
    with writing(options.out) as part:
        figure.savefig(part, dpi=120)
    tell(f"{len(names)} metrics of {len(runs)} runs: {options.out}")


def _read(folder: Path) -> Found:
    return Found(folder, run_folder.read_record(folder), curves_of(run_folder.read_metrics(folder)))


def _names(runs: Sequence[Found], asked: str | None) -> list[str]:
    """Return the names of the metrics to show.

    Raises:
      UserError: a requested metric that no run has, or no metric in common.
    """
    counts = {name: sum(name in run.curves for run in runs) for name in sorted({n for run in runs for n in run.curves})}
    if asked is None:
        names = [name for name, count in counts.items() if count > 1 and not name.startswith("speed/")]
        if not names:
            raise UserError("These runs have no metric in common: say which with --metrics NAME,NAME,...")
        return names
    names = list(dict.fromkeys(name.strip() for name in asked.split(",")))
    if unknown := [name for name in names if name not in counts]:
        raise UserError(f"No run has the metric {unknown[0]!r}: --metrics are among {', '.join(counts) or 'none'}.")
    return names


def _last(run: Found, name: str) -> str:
    return f"{run.curves[name][-1][1]:.4g}" if name in run.curves else "-"


def _different_options(runs: Sequence[Found]) -> dict[str, list[str]]:
    """Return the options whose values differ among the runs; "-" stands for an option that a run does not have."""
    configs = [{current_name(name): x for name, x in run.record["config"].items()} for run in runs]
    names = [name for name in dict.fromkeys(n for config in configs for n in config) if name not in OF_THE_CALL]
    values = {f"--{name.replace('_', '-')}": [str(config.get(name, "-")) for config in configs] for name in names}
    return {name: found for name, found in values.items() if len(set(found)) > 1}


def _tables(title: str, rows: dict[str, list[str]], count: int) -> Iterator[Table]:
    """Yield tables with a column for each run, so many in one as a line of 80 characters holds."""
    for first in range(0, count if rows else 0, RUNS_IN_A_TABLE):
        shown = range(first, min(first + RUNS_IN_A_TABLE, count))
        columns = [Column(str(i + 1), justify="right", overflow="fold") for i in shown]
        table = Table(Column(title, overflow="fold"), *columns, box=None, pad_edge=False)
        for name, cells in rows.items():
            table.add_row(name, *(cells[i] for i in shown))
        yield table
