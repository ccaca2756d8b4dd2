"""`jaxgen train NAME ...`: train an experiment of the package."""

import importlib
from collections.abc import Sequence

from jaxgen.core.errors import UserError, nearest
from jaxgen.core.terminal import shortened
from jaxgen.runs.experiment import PACKAGE, Study, run
from jaxgen.runs.experiment_loading import experiment_names, load_experiment

HELP = """usage: jaxgen train NAME ...

Train an experiment of the package, as python -m jaxgen.experiments.NAME does.
jaxgen list shows the names of experiments, and jaxgen train NAME --help the
options of one."""


def main(arguments: Sequence[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(HELP)
        return 0 if arguments else 2
    name, *options = arguments
    names = experiment_names()
    if name.endswith(".py"):
        raise UserError(f"An experiment of your own is run by its file: python {shortened(name)} ...")
    if name not in names:
        raise UserError(f"There is no experiment {name[:100]!r}{nearest(name, names)}: jaxgen list shows them all.")
    module = importlib.import_module(f"{PACKAGE}.{name}")
    if any(isinstance(value, Study) for value in vars(module).values()):
        return module.run(options)
    return run(load_experiment(f"{PACKAGE}.{name}", None), options)
