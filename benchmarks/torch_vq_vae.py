"""VQ-VAE's networks and step, as in `jaxgen.networks.vq_conv` and `jaxgen.models.vq_vae`, in PyTorch."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from common import (
    CODE_SIZE,
    CODEBOOK_DECAY,
    COMMITMENT,
    DATA_VARIANCE,
    NUM_CODES,
    SMOOTHING,
    VQ_BLOCKS,
    VQ_WIDTH,
    Adam,
)
from torch import nn
from torch_sngan import Residual
from torch_training import adam_optimizer, scaled


def vq_encoder() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, VQ_WIDTH, 4, 2, padding=1),
        nn.ReLU(),
        nn.Conv2d(VQ_WIDTH, VQ_WIDTH, 4, 2, padding=1),
        *_blocks(),
        nn.ReLU(),
        nn.Conv2d(VQ_WIDTH, CODE_SIZE, 1),
    )


def vq_decoder() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(CODE_SIZE, VQ_WIDTH, 3, padding=1),
        *_blocks(),
        nn.ReLU(),
        nn.ConvTranspose2d(VQ_WIDTH, VQ_WIDTH, 4, 2, padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(VQ_WIDTH, 3, 4, 2, padding=1),
    )


def _blocks() -> list[nn.Module]:
    def branch() -> nn.Module:
        return nn.Sequential(
            nn.ReLU(), nn.Conv2d(VQ_WIDTH, VQ_WIDTH, 3, padding=1), nn.ReLU(), nn.Conv2d(VQ_WIDTH, VQ_WIDTH, 1)
        )

    return [Residual(branch(), nn.Identity()) for _ in range(VQ_BLOCKS)]


def vq_vae_step(encoder: nn.Module, decoder: nn.Module, adam: Adam) -> Callable[[torch.Tensor], None]:
    """Return `step(rows uint8 [B, C, H, W])`: squared error over the data's variance, codes as running means."""
    optimizer = adam_optimizer([*encoder.parameters(), *decoder.parameters()], adam)
    device = next(encoder.parameters()).device
    codes = (2 * torch.rand(NUM_CODES, CODE_SIZE, device=device) - 1) / NUM_CODES
    sums, counts = codes.clone(), torch.ones(NUM_CODES, device=device)

    def step(rows: torch.Tensor) -> None:
        images = scaled(rows)
        vectors = encoder(images).permute(0, 2, 3, 1)  # [B, h, w, D]
        flat = vectors.detach().reshape(-1, CODE_SIZE)
        numbers = (codes.square().sum(1) - 2 * flat @ codes.T).argmin(1)  # [B h w]
        chosen = codes[numbers].reshape(vectors.shape)
        outputs = decoder((vectors + (chosen - vectors).detach()).permute(0, 3, 1, 2))
        loss = F.mse_loss(outputs, images) / DATA_VARIANCE + COMMITMENT * F.mse_loss(vectors, chosen)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

        uses = F.one_hot(numbers, NUM_CODES).float()  # [B h w, K]
        counts.lerp_(uses.sum(0), 1 - CODEBOOK_DECAY)
        sums.lerp_(uses.T @ flat, 1 - CODEBOOK_DECAY)
        total = counts.sum()
        smoothed = (counts + SMOOTHING) / (total + NUM_CODES * SMOOTHING) * total
        torch.div(sums, smoothed[:, None], out=codes)

    return step
