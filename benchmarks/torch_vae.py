"""The step of a variational autoencoder of binary pixels, as in `jaxgen.models.vae`, in PyTorch."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from common import Adam
from torch import nn
from torch_training import adam_optimizer


def vae_step(encoder: nn.Module, decoder: nn.Module, adam: Adam) -> Callable[[torch.Tensor], None]:
    """Return `step(rows uint8 [B, C, H, W])`: binary pixels drawn anew, a closed-form KL term, one latent per image."""
    optimizer = adam_optimizer([*encoder.parameters(), *decoder.parameters()], adam)

    def step(rows: torch.Tensor) -> None:
        probability = rows.float() / 255
        targets = (torch.rand_like(probability) < probability).float()
        mean, log_variance = encoder(targets).chunk(2, 1)
        logits = decoder(mean + (0.5 * log_variance).exp() * torch.randn_like(mean))
        reconstruction = F.binary_cross_entropy_with_logits(logits, targets, reduction="sum")
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum()
        optimizer.zero_grad()
        ((reconstruction + kl) / len(rows)).backward()
        optimizer.step()

    return step
