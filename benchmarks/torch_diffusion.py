"""The U-Net of diffusion and EDM's step, as in `jaxgen.networks.unet` and `jaxgen.models.diffusion`, in PyTorch."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from common import (
    DATA_VARIANCE,
    UNET_ATTENTION_SIZES,
    UNET_BLOCKS,
    UNET_FACTORS,
    UNET_HEAD_WIDTH,
    UNET_PATCH,
    UNET_WIDTH,
    Adam,
)
from torch import Tensor, nn
from torch_training import adam_optimizer, scaled

LEVEL_MEAN, LEVEL_DEVIATION = -1.2, 1.2  # of log sigma


def group_norm(width: int) -> nn.Module:
    """Build a group norm with at most 32 groups of at least 4 channels each."""
    groups = max(n for n in range(1, 33) if width % n == 0 and (n == 1 or width // n >= 4))
    return nn.GroupNorm(groups, width)


class ResidualBlock(nn.Module):
    def __init__(self, width_in: int, width: int, resample: str | None = None):
        super().__init__()
        self.resample = resample
        self.norms = nn.ModuleList([group_norm(width_in), group_norm(width)])
        self.convs = nn.ModuleList([nn.Conv2d(n, width, 3, padding=1) for n in (width_in, width)])
        self.moves = nn.Linear(4 * UNET_WIDTH, 2 * width)
        self.shortcut = nn.Conv2d(width_in, width, 1) if width_in != width else nn.Identity()

    def resized(self, x: Tensor) -> Tensor:
        if self.resample is None:
            return x
        return F.avg_pool2d(x, 2) if self.resample == "down" else F.interpolate(x, scale_factor=2, mode="nearest")

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        hidden = self.convs[0](self.resized(F.silu(self.norms[0](x))))
        scale, shift = self.moves(embedding)[:, :, None, None].chunk(2, 1)
        hidden = self.convs[1](F.silu(self.norms[1](hidden) * (1 + scale) + shift))
        return self.shortcut(self.resized(x)) + hidden


class AttentionBlock(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.norm, self.joined, self.output = group_norm(width), nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, width, *size = x.shape
        rows = self.joined(self.norm(x).flatten(2).transpose(1, 2))
        heads = rows.reshape(batch, -1, 3, width // UNET_HEAD_WIDTH, UNET_HEAD_WIDTH).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(*heads).transpose(1, 2).reshape(batch, -1, width)
        return x + self.output(mixed).transpose(1, 2).reshape(batch, width, *size)


class UNet(nn.Module):
    def __init__(self, channels: int, size: int):
        super().__init__()
        self.embedding = nn.Sequential(
            nn.Linear(2 * UNET_WIDTH, 4 * UNET_WIDTH), nn.SiLU(), nn.Linear(4 * UNET_WIDTH, 4 * UNET_WIDTH), nn.SiLU()
        )
        channels, size = channels * UNET_PATCH**2, size // UNET_PATCH
        self.first = nn.Conv2d(channels, UNET_WIDTH, 3, padding=1)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        width, widths = UNET_WIDTH, [UNET_WIDTH]

        def add(to: nn.ModuleList, factor: int, width_in: int, resample: str | None = None) -> int:
            width = UNET_WIDTH * factor
            attends = resample is None and size in UNET_ATTENTION_SIZES
            block = ResidualBlock(width_in, width, resample)
            to.append(nn.ModuleList([block, AttentionBlock(width) if attends else nn.Identity()]))
            return width

        for level, factor in enumerate(UNET_FACTORS):
            for i in range(UNET_BLOCKS + (level > 0)):
                resample = "down" if level and not i else None
                width = add(self.down, factor, width, resample)
                size //= 2 if resample else 1
                widths.append(width)
        self.middle = nn.ModuleList()
        width = add(self.middle, UNET_FACTORS[-1], width)
        for level, factor in reversed(list(enumerate(UNET_FACTORS))):
            for _ in range(UNET_BLOCKS + 1):
                width = add(self.up, factor, width + widths.pop())
            if level:
                width = add(self.up, factor, width, "up")
                size *= 2
        self.last_norm, self.last = group_norm(width), nn.Conv2d(width, channels, 3, padding=1)

    def forward(self, x: Tensor, noise_labels: Tensor) -> Tensor:
        embedding = self.embedding(sinusoids(noise_labels, 2 * UNET_WIDTH))
        x = self.first(F.pixel_unshuffle(x, UNET_PATCH))
        skips = [x]
        for block, attention in self.down:
            x = attention(block(x, embedding))
            skips.append(x)
        block, attention = self.middle[0]
        x = attention(block(x, embedding))
        for block, attention in self.up:
            x = attention(block(torch.cat([x, skips.pop()], 1) if block.resample is None else x, embedding))
        return F.pixel_shuffle(self.last(F.silu(self.last_norm(x))), UNET_PATCH)


def sinusoids(labels: Tensor, size: int) -> Tensor:
    """Embed noise levels [B] as sinusoids [B, size]."""
    angles = labels[:, None] * torch.logspace(0, 2, size // 2, device=labels.device)
    return torch.cat([angles.cos(), angles.sin()], 1)


def diffusion_step(network: nn.Module, adam: Adam) -> Callable[[torch.Tensor], None]:
    """Return `step(rows uint8 [B, C, H, W])` on the squared error of EDM's network."""
    optimizer = adam_optimizer(network.parameters(), adam)

    def step(rows: torch.Tensor) -> None:
        images = scaled(rows)
        sigma = torch.exp(LEVEL_MEAN + LEVEL_DEVIATION * torch.randn(len(images), device=images.device))
        wide, variance = sigma[:, None, None, None], DATA_VARIANCE
        noisy = images + wide * torch.randn_like(images)
        total = wide.square() + variance
        outputs = network(noisy / total.sqrt(), sigma.log() / 4)
        target = (images - variance / total * noisy) / (wide * (variance / total).sqrt())
        optimizer.zero_grad()
        F.mse_loss(outputs, target).backward()
        optimizer.step()

    return step
