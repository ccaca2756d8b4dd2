"""jaxgen: a functional zoo of generative models in JAX."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxgen import data, metrics, models, networks
    from jaxgen.core.errors import RunFailed, RunStopped, UserError
    from jaxgen.core.model import GenerativeModel, ModelSpec
    from jaxgen.core.state import TrainState
    from jaxgen.runs.experiment import Experiment, run
    from jaxgen.runs.opened_run import Run, open_run
    from jaxgen.training.config import TrainConfig
    from jaxgen.training.loop import TrainResult, train

_PARTS = {
    "ModelSpec": "jaxgen.core.model",
    "Run": "jaxgen.runs.opened_run",
    "Experiment": "jaxgen.runs.experiment",
    "GenerativeModel": "jaxgen.core.model",
    "RunFailed": "jaxgen.core.errors",
    "RunStopped": "jaxgen.core.errors",
    "TrainConfig": "jaxgen.training.config",
    "TrainResult": "jaxgen.training.loop",
    "TrainState": "jaxgen.core.state",
    "UserError": "jaxgen.core.errors",
    "data": None,
    "metrics": None,
    "models": None,
    "networks": None,
    "open_run": "jaxgen.runs.opened_run",
    "run": "jaxgen.runs.experiment",
    "train": "jaxgen.training.loop",
}
"""What the package offers, by module (None: it is a module): imported when first asked for, so that a command line can
catch signals from its beginning on, and help is there at once."""

__all__ = [
    "Experiment",
    "GenerativeModel",
    "ModelSpec",
    "Run",
    "RunFailed",
    "RunStopped",
    "TrainConfig",
    "TrainResult",
    "TrainState",
    "UserError",
    "data",
    "metrics",
    "models",
    "networks",
    "open_run",
    "run",
    "train",
]


def __getattr__(name: str) -> object:
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("jaxgen")
    if name not in _PARTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(_PARTS[name] or f"{__name__}.{name}")
    return module if _PARTS[name] is None else getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
