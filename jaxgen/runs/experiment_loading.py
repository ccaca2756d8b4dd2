"""Experiments by the names of their modules, or by their files."""

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from jaxgen.core import files
from jaxgen.core.errors import UserError
from jaxgen.core.types import present
from jaxgen.runs.experiment import PACKAGE, Experiment, Study

Kind = TypeVar("Kind")


def load_experiment(module: str | None, file: Path | tuple[Path, bytes] | None) -> Experiment:
    """Return the experiment that a module of the package, or a file, defines.

    The file is executed, so it must be trusted.

    Args:
      file: a path, or a path with its content, which is then not read again.

    Raises:
      UserError: no experiment is defined, or the module is not one of the package's experiments.
    """
    found = _own_module(module) if module is not None else _run_file(present(file))
    experiments = _defined(found, Experiment)
    if not experiments:
        raise UserError(f"{module or file} defines no jaxgen.Experiment.")
    return experiments[0]


def _own_module(module: str) -> ModuleType:
    """Import a module of `jaxgen.experiments`; no other module is imported by a name from a file."""
    if module not in [f"{PACKAGE}.{name}" for name in experiment_names()]:
        raise UserError(
            f"{module!a} is none of the experiments of this version of jaxgen ('jaxgen list' shows them), so it is not "
            "run: use the version that made the run."
        )
    return importlib.import_module(module)


def _run_file(file: Path | tuple[Path, bytes]) -> ModuleType:
    """Execute a file from its text and return its module; a compiled copy beside it is never executed instead."""
    try:
        path, content = file if isinstance(file, tuple) else (Path(file), Path(file).read_bytes())
        spec = importlib.util.spec_from_file_location("jaxgen_user_experiment", path.resolve())
        if spec is None:
            raise UserError(f"{path} is no file of Python: name the .py file that defines the experiment.")
        found = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = found  # dataclasses look their module up
        program = compile(content, str(path.resolve()), "exec")
    except OSError as error:
        raise UserError(f"{file} cannot be read ({files.explain(error)}): name the file of an experiment.") from error
    except (SyntaxError, ValueError) as error:
        raise UserError(f"{file} is no file of Python ({error}): name the file of an experiment.") from error
    exec(program, vars(found))
    return found


def all_experiments() -> list[Experiment]:
    """Return the experiments of the package, by name."""
    return _all_defined(Experiment)


def all_studies() -> list[Study]:
    """Return the studies of the package, by name."""
    return _all_defined(Study)


def _defined(module: ModuleType, kind: type[Kind]) -> list[Kind]:
    return [value for value in vars(module).values() if isinstance(value, kind)]


def _all_defined(kind: type[Kind]) -> list[Kind]:
    return [
        value for name in experiment_names() for value in _defined(importlib.import_module(f"{PACKAGE}.{name}"), kind)
    ]


def experiment_names() -> list[str]:
    """Return the names of the experiments and studies of the package."""
    folder = Path(__file__).parents[1] / "experiments"
    return sorted(p.stem for p in folder.glob("*.py") if not p.stem.startswith("_"))
