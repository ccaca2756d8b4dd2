"""jaxgen: a functional zoo of generative models in JAX."""

from jaxgen import data, metrics, models, networks
from jaxgen.errors import RunFailed, UserError
from jaxgen.experiment import Experiment, run
from jaxgen.training.config import TrainConfig
from jaxgen.training.loop import TrainResult, train
from jaxgen.training.state import GenerativeModel, TrainState

__all__ = [
    "Experiment",
    "GenerativeModel",
    "RunFailed",
    "TrainConfig",
    "TrainResult",
    "TrainState",
    "UserError",
    "data",
    "metrics",
    "models",
    "networks",
    "run",
    "train",
]
