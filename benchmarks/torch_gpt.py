"""The GPT of `jaxgen.networks.gpt` and the step of a language model, in PyTorch."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from common import CLIP_NORM, WEIGHT_DECAY, Adam
from torch import nn


class Block(nn.Module):
    """A block of pre-norm causal attention and feed-forward, without biases."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList(nn.LayerNorm(width, bias=False) for _ in range(2))
        self.joined, self.attended = (nn.Linear(width, n * width, bias=False) for n in (3, 1))
        self.hidden, self.output = nn.Linear(width, 4 * width, bias=False), nn.Linear(4 * width, width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, width = x.shape
        heads = self.joined(self.norms[0](x)).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(*heads, is_causal=True)
        x = x + self.attended(mixed.transpose(1, 2).reshape(batch, length, width))
        return x + self.output(F.gelu(self.hidden(self.norms[1](x))))


class GPT(nn.Module):
    """A GPT with learned positions, whose embedding is also its last layer."""

    def __init__(self, vocabulary_size: int, context: int, layers: int, heads: int, width: int):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocabulary_size, width), nn.Embedding(context, width)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(layers)))
        self.norm = nn.LayerNorm(width, bias=False)
        for name, parameter in self.named_parameters():
            if parameter.ndim > 1:
                last = name.endswith(("attended.weight", "output.weight"))
                nn.init.normal_(parameter, std=0.02 / (2 * layers) ** 0.5 if last else 0.02)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.tokens(tokens) + self.positions.weight[: tokens.shape[1]]
        return self.norm(self.blocks(x)) @ self.tokens.weight.T


def language_model_step(network: nn.Module, adam: Adam) -> Callable[..., None]:
    """Return `step(windows uint8 [B, T + 1], learning_rate)`: AdamW that decays only matrices, with clipped gradients.

    The default learning rate is that of `adam`.
    """
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in network.parameters() if p.ndim > 1], "weight_decay": WEIGHT_DECAY},
            {"params": [p for p in network.parameters() if p.ndim <= 1], "weight_decay": 0.0},
        ],
        adam.learning_rate,
        (adam.beta1, adam.beta2),
        adam.epsilon,
    )

    def step(windows: torch.Tensor, learning_rate: float | None = None) -> None:
        if learning_rate is not None:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate
        windows = windows.long()
        loss = F.cross_entropy(network(windows[:, :-1]).flatten(0, 1), windows[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), CLIP_NORM)
        optimizer.step()

    return step
