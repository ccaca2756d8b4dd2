"""The average of the weights that evaluation and samples use."""

from dataclasses import dataclass

from jaxgen.core.options import Rate


@dataclass(frozen=True)
class AverageOptions:
    """A moving average of the weights; groups of an optimizer's options have it as a base."""

    ema_decay: Rate | None = 0.999
    """Decay of the moving average of the weights that evaluation and samples use, once it is warm. None: no average."""
