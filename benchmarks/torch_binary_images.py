"""The autoregressive networks of binary images, as in `jaxgen.networks`, and their step, in PyTorch."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from common import Adam
from torch import nn
from torch_training import adam_optimizer

PIXELS = 28 * 28


class MaskedLinear(nn.Linear):
    """A linear layer some of whose weights are fixed at 0."""

    def __init__(self, mask: np.ndarray, *, bias: bool = True):
        """Make the layer of a mask bool [inputs, outputs]."""
        super().__init__(*mask.shape, bias=bias)
        self.register_buffer("mask", torch.from_numpy(mask.T.astype(np.float32)))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return F.linear(inputs, self.weight * self.mask, self.bias)


class MADE(nn.Module):
    """A network of each pixel's logit, given the pixels before it; the hidden degrees are drawn once."""

    def __init__(self, widths: Sequence[int], *, degrees_seed: int = 0, direct: bool = False):
        super().__init__()
        generator, ends = np.random.RandomState(degrees_seed), np.arange(1, PIXELS + 1)
        degrees, self.hidden = ends, nn.ModuleList()
        for width in widths:
            before, degrees = degrees, generator.randint(degrees.min(), PIXELS, width)
            self.hidden.append(MaskedLinear(before[:, None] <= degrees))
        self.out = MaskedLinear(degrees[:, None] < ends)
        self.direct = MaskedLinear(ends[:, None] < ends, bias=False) if direct else None

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Map pixels 0.0 or 1.0 [B, 28, 28] to logits of 1 [B, 28, 28]."""
        inputs = x = pixels.flatten(1)
        for layer in self.hidden:
            x = F.relu(layer(x))
        logits = self.out(x)
        if self.direct is not None:
            logits = logits + self.direct(inputs)
        return logits.view_as(pixels)


class GatedPixelCNN(nn.Module):
    """Two stacks of convolutions: the vertical one sees the rows above, the horizontal one what is left in the row."""

    def __init__(self, width: int, layers: int, first_reach: int, reach: int, hidden_width: int):
        super().__init__()
        self.reaches = [(first_reach, first_reach)] + [(reach, reach + 1)] * (layers - 1)
        self.embed = nn.Conv2d(2, 2, 1, bias=False)
        channels = [2] + [width] * (layers - 1)
        self.vertical, self.horizontal, self.join, self.out = (nn.ModuleList() for _ in range(4))
        for before, (side, seen) in zip(channels, self.reaches, strict=True):
            self.vertical.append(nn.Conv2d(before, 2 * width, (seen, 2 * side + 1)))
            self.horizontal.append(nn.Conv2d(before, 2 * width, (1, seen)))
            self.join.append(nn.Conv2d(2 * width, 2 * width, 1))
            self.out.append(nn.Conv2d(width, width, 1))
        self.hidden, self.last = nn.Conv2d(width, hidden_width, 1), nn.Conv2d(hidden_width, 2, 1)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Map pixels 0.0 or 1.0 [B, H, W] to logits of 1 [B, H, W]."""
        height, width = pixels.shape[1:]
        vertical = horizontal = self.embed(torch.stack([1 - pixels, pixels], 1))
        for i, (side, seen) in enumerate(self.reaches):
            # The first layer must not see its own row (vertical stack) or its own place (horizontal); others may.
            above, left = (seen, seen) if i == 0 else (seen - 1, seen - 1)
            sums = self.vertical[i](F.pad(vertical, (side, side, above, 0)))[:, :, :height]
            own = self.horizontal[i](F.pad(horizontal, (left, 0, 0, 0)))[:, :, :, :width]
            out = self.out[i](_gated(own + self.join[i](sums)))
            vertical, horizontal = _gated(sums), out if i == 0 else horizontal + out
        black, white = self.last(F.relu(self.hidden(F.relu(horizontal)))).unbind(1)
        return white - black


def _gated(sums: torch.Tensor) -> torch.Tensor:
    features, gates = sums.chunk(2, 1)
    return features.tanh() * gates.sigmoid()


def nats(network: nn.Module, pixels: torch.Tensor) -> torch.Tensor:
    """Return -log p [B] of pixels 0.0 or 1.0 [B, 28, 28]."""
    return F.binary_cross_entropy_with_logits(network(pixels), pixels, reduction="none").sum((1, 2))


def binary_image_step(network: nn.Module, adam: Adam) -> Callable[[torch.Tensor], None]:
    """Return `step(rows uint8 [B, 28, 28])`, which draws pixels black or white anew; the loss is a mean over pixels."""
    optimizer = adam_optimizer(network.parameters(), adam)

    def step(rows: torch.Tensor) -> None:
        probability = rows.float() / 255
        pixels = (torch.rand_like(probability) < probability).float()
        optimizer.zero_grad()
        (nats(network, pixels).mean() / PIXELS).backward()
        optimizer.step()

    return step
