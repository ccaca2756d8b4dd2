import sys

from jaxgen.core import command_line

if sys.argv[:1] == ["-m"]:  # as it is while `python -m jaxgen.experiments.NAME` imports this package
    command_line.interruptible_imports()
