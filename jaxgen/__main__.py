"""`jaxgen` (also `python -m jaxgen`): what to do with experiments and their runs."""

import importlib
import sys
from collections.abc import Sequence
from typing import Any

from jaxgen.core import command_line
from jaxgen.core.errors import UserError

COMMANDS = {
    "list": "the experiments of the package",
    "sample": "draw samples from a run",
    "interpolate": "walk between latents of a run",
    "styles": "show what the styles of a StyleGAN2 do",
    "project": "look for an image among those that a StyleGAN2 can make",
    "latent": "show what the latents of a run mean",
    "restore": "images of any size larger, without noise, filled in, in color",
    "translate": "images in the other style",
    "stylize": "a picture in the manner of another",
    "inpaint": "let a diffusion model draw what is hidden of images",
    "augment": "write generated examples as a data set",
    "export": "write a model as a program that jax alone runs, or as a GPT-2",
    "evaluate": "score the samples of a run, or images from anywhere",
    "info": "what a run is and how far it got",
}


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code: 2 for bad input, with one sentence on the error stream."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    with command_line.stoppable(lambda: _ask_outputs("remove_unfinished"), lambda: _ask_outputs("stopped")):
        return command_line.end_well(lambda: _run(given), stopped=lambda: _ask_outputs("stopped"))


def _ask_outputs(function: str) -> Any:
    """Return what a function of the module that knows the files that were written says, if it is imported by now."""
    outputs = sys.modules.get("jaxgen.commands._outputs")
    return getattr(outputs, function, lambda: "stopped; nothing was written")()


def _run(arguments: Sequence[str]) -> int:
    importlib.import_module("jaxgen.commands._outputs").forget()  # not imported before signals are caught
    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: jaxgen COMMAND ...   (jaxgen COMMAND --help says more)\n")
        print("\n".join(f"  {name:<12} {what}" for name, what in COMMANDS.items()))
        return 0 if arguments else 2
    if arguments[0] not in COMMANDS:
        raise UserError(f"There is no command {arguments[0][:100]!r}: use {', '.join(COMMANDS)}.")
    command = importlib.import_module(f"jaxgen.commands.{arguments[0]}")
    with importlib.import_module("jaxgen.commands._progress").progress_bars():
        command.main(arguments[1:])
    return 0


def main() -> None:
    command_line.leave(run())


if __name__ == "__main__":
    main()
