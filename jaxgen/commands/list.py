"""`jaxgen list`: list the experiments of the package."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Column, Table

from jaxgen.commands._options import parse
from jaxgen.core.terminal import console
from jaxgen.runs.experiment_loading import all_experiments, all_studies


@dataclass(frozen=True)
class Options:
    """Lists the experiments that `python -m jaxgen.experiments.NAME` runs."""


def main(arguments: Sequence[str]) -> None:
    parse(Options, "list", arguments)
    name = Column("experiment", no_wrap=True)
    table = Table(name, "model", "data", "time of the default preset", box=None, pad_edge=False)
    for experiment in sorted([*all_experiments(), *all_studies()], key=lambda experiment: experiment.name):
        table.add_row(experiment.name, experiment.summary, experiment.data, experiment.expected_time)
    console().print(table)
    print("\nRun one with: python -m jaxgen.experiments.NAME")
