"""`jaxgen` (also `python -m jaxgen`): what to do with experiments and their runs."""

import importlib
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

from jaxgen.core import command_line
from jaxgen.core.errors import UserError, nearest


def _found() -> dict[str, str]:
    """The commands by their files in `jaxgen/commands`, with what the first line of each says after its colon.

    The files are read and not imported, so that help is there at once.
    """
    found = {}
    for file in sorted((Path(__file__).parent / "commands").glob("[a-z]*.py")):
        with file.open(encoding="utf-8") as lines:
            found[file.stem] = lines.readline().partition(": ")[2].strip().rstrip('".')
    return found


COMMANDS = _found()


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code: 2 for bad input, with one sentence on the error stream."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    with command_line.stoppable(lambda: _ask_outputs("remove_unfinished"), lambda: _ask_outputs("stopped")):
        return command_line.end_well(lambda: _run(given), stopped=lambda: _ask_outputs("stopped"))


def _ask_outputs(function: str) -> str:
    """Return what a function of the module that knows the files that were written says, if it is imported by now."""
    outputs = sys.modules.get("jaxgen.commands._outputs")
    return getattr(outputs, function, lambda: "stopped; nothing was written")()


def _run(arguments: Sequence[str]) -> int:
    importlib.import_module("jaxgen.commands._outputs").forget()  # not imported before signals are caught
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_help())
        return 0 if arguments else 2
    if arguments[0] == "--version":
        print(importlib.import_module("jaxgen").__version__)
        return 0
    name = arguments[0]
    if name not in COMMANDS:
        raise UserError(f"There is no command {name[:100]!r}{nearest(name, COMMANDS)}: jaxgen --help shows them all.")
    command = importlib.import_module(f"jaxgen.commands.{name}")
    with importlib.import_module("jaxgen.commands._progress").progress_bars():
        return command.main(arguments[1:]) or 0


def _help() -> str:
    lines = ["usage: jaxgen COMMAND ...   (jaxgen COMMAND --help says more)", ""]
    for name, what in COMMANDS.items():
        lines += textwrap.wrap(what, 79, initial_indent=f"  {name:<12} ", subsequent_indent=" " * 15)
    return "\n".join(lines)


def main() -> None:
    command_line.leave(run())


if __name__ == "__main__":
    main()
