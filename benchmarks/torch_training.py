"""What the training steps in PyTorch share."""

from collections.abc import Iterable

import torch
from common import Adam


def adam_optimiser(parameters: Iterable[torch.Tensor], adam: Adam) -> torch.optim.Adam:
    return torch.optim.Adam(parameters, adam.learning_rate, (adam.beta1, adam.beta2), adam.epsilon)


def scaled(rows: torch.Tensor) -> torch.Tensor:
    """uint8 to float32 in [-1, 1]."""
    return rows.float() / 127.5 - 1
