"""`jaxgen list [WORD ...]`: list the experiments of the package."""

from collections.abc import Sequence
from dataclasses import dataclass

import tyro
from rich.table import Column, Table

from jaxgen.commands._options import parse
from jaxgen.core.errors import UserError, nearest
from jaxgen.core.terminal import console
from jaxgen.runs.experiment import Experiment, Study
from jaxgen.runs.experiment_loading import all_experiments, all_studies

FAMILIES = (
    *("GAN", "VAE", "discrete codes", "autoregressive", "diffusion", "text and images", "images from images"),
    "classification",
)
"""The families, in the order of the table."""
NAME_WIDTH = 29


@dataclass(frozen=True)
class Options:
    """List the experiments that `jaxgen train NAME` runs, by family, with the time of the default preset."""

    words: tyro.conf.Positional[tuple[str, ...]] = ()
    """Show only experiments that have all of these words in their name, family, model or data."""


def main(arguments: Sequence[str]) -> None:
    options = parse(Options, "list", arguments)
    everything = sorted([*all_experiments(), *all_studies()], key=lambda entry: (_rank(entry), entry.name))
    chosen = [entry for entry in everything if all(word.lower() in _text(entry) for word in options.words)]
    if not chosen:
        names = [entry.name for entry in everything]
        raise UserError(f"No experiment has {' and '.join(options.words)} in it{nearest(options.words[0], names)}.")
    terminal = console()
    for family in dict.fromkeys(entry.family for entry in chosen):
        terminal.print(family)
        terminal.print(_table([entry for entry in chosen if entry.family == family]))
        terminal.print()
    terminal.print("Train one with: jaxgen train NAME (its options: jaxgen train NAME --help)")


def _rank(entry: Experiment | Study) -> int:
    return FAMILIES.index(entry.family) if entry.family in FAMILIES else len(FAMILIES)


def _text(entry: Experiment | Study) -> str:
    return " ".join((entry.name, entry.family, entry.summary, entry.data)).lower()


def _table(entries: Sequence[Experiment | Study]) -> Table:
    name = Column(no_wrap=True, min_width=NAME_WIDTH)
    table = Table(name, Column(ratio=3), Column(ratio=2), box=None, show_header=False, expand=True)
    for entry in entries:
        time = entry.expected_time.split(" at ", 1)[0].replace(" on ", ", ")
        table.add_row(entry.name, f"{entry.summary}; {entry.data}", time)
    return table
