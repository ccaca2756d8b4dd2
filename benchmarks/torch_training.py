"""Shared parts of the training steps in PyTorch."""

from collections.abc import Iterable, Iterator

import torch
from common import Adam
from torch import nn


def adam_optimizer(parameters: Iterable[torch.Tensor], adam: Adam) -> torch.optim.Adam:
    return torch.optim.Adam(parameters, adam.learning_rate, (adam.beta1, adam.beta2), adam.epsilon)


def scaled(rows: torch.Tensor) -> torch.Tensor:
    """Convert uint8 to float32 in [-1, 1]."""
    return rows.float() / 127.5 - 1


def shuffled_batches(rows: torch.Tensor, size: int, steps: int) -> Iterator[torch.Tensor]:
    """Yield `steps` batches [size, ...] of rows [N, ...], in a new order in each epoch; batches may span two epochs."""
    order = torch.randperm(len(rows))
    for _ in range(steps):
        while len(order) < size:
            order = torch.cat([order, torch.randperm(len(rows))])
        yield rows[order[:size]]
        order = order[size:]


@torch.no_grad()
def move_average(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Update the averaged parameters, and copy the network's running statistics."""
    for old, new in zip(average.parameters(), network.parameters(), strict=True):
        old.lerp_(new, 1.0 - decay)
    for old, new in zip(average.buffers(), network.buffers(), strict=True):
        old.copy_(new)
