"""CycleGAN's networks and step, as in `jaxgen.networks.translators` and `jaxgen.models.image_to_image`, in PyTorch."""

import random
from collections.abc import Callable

import torch
import torch.nn.functional as F
from common import (
    CYCLE_BLOCKS,
    CYCLE_BUFFER,
    CYCLE_HALVINGS,
    CYCLE_JUDGE_HALVINGS,
    CYCLE_WEIGHT,
    CYCLE_WIDTH,
    IDENTITY_WEIGHT,
    SLOPE,
    Adam,
)
from torch import nn
from torch_sngan import Residual
from torch_training import adam_optimizer, scaled


def cycle_generator(channels: int = 3) -> nn.Module:
    layers: list[nn.Module] = [*_reflected(channels, CYCLE_WIDTH, 7), *_norm_relu(CYCLE_WIDTH)]
    width = CYCLE_WIDTH
    for _ in range(CYCLE_HALVINGS):
        layers += [nn.Conv2d(width, 2 * width, 3, 2, padding=1, bias=False), *_norm_relu(2 * width)]
        width *= 2
    for _ in range(CYCLE_BLOCKS):
        branch = (*_reflected(width, width, 3), *_norm_relu(width), *_reflected(width, width, 3))
        layers.append(Residual(nn.Sequential(*branch, nn.InstanceNorm2d(width)), nn.Identity()))
    for _ in range(CYCLE_HALVINGS):
        layers += [nn.ConvTranspose2d(width, width // 2, 3, 2, 1, 1, bias=False), *_norm_relu(width // 2)]
        width //= 2
    return nn.Sequential(*layers, *_reflected(width, channels, 7, bias=True), nn.Tanh())


def cycle_discriminator(channels: int = 3) -> nn.Module:
    """Build PatchGAN's discriminator."""
    layers: list[nn.Module] = []
    width_in = channels
    for i in range(CYCLE_JUDGE_HALVINGS + 1):
        width, stride = CYCLE_WIDTH * 2**i, 2 if i < CYCLE_JUDGE_HALVINGS else 1
        layers.append(nn.Conv2d(width_in, width, 4, stride, padding=1, bias=i == 0))
        layers += [nn.InstanceNorm2d(width)] if i else []
        layers.append(nn.LeakyReLU(SLOPE))
        width_in = width
    return nn.Sequential(*layers, nn.Conv2d(width_in, 1, 4, padding=1))


def _reflected(width_in: int, width: int, size: int, *, bias: bool = False) -> list[nn.Module]:
    return [nn.Conv2d(width_in, width, size, padding=size // 2, padding_mode="reflect", bias=bias)]


def _norm_relu(width: int) -> list[nn.Module]:
    return [nn.InstanceNorm2d(width), nn.ReLU()]


class Buffer:
    """A buffer of 50 earlier images, which change places with half of the new ones."""

    def __init__(self):
        self.images: list[torch.Tensor] = []

    def exchange(self, images: torch.Tensor) -> torch.Tensor:
        seen = []
        for image in images:
            if len(self.images) < CYCLE_BUFFER:
                self.images.append(image)
                seen.append(image)
            elif random.random() < 0.5:
                place = random.randrange(CYCLE_BUFFER)
                seen.append(self.images[place])
                self.images[place] = image
            else:
                seen.append(image)
        return torch.stack(seen)


def cycle_gan_step(
    to_target: nn.Module, to_source: nn.Module, judge_target: nn.Module, judge_source: nn.Module, adam: Adam
) -> Callable[[torch.Tensor], None]:
    """Return `step(rows uint8 [B, C, H, W])`, whose sources are the same images in the opposite order."""
    judges = nn.ModuleList([judge_target, judge_source])
    generators = nn.ModuleList([to_target, to_source])
    optimizer, judging = (adam_optimizer(networks.parameters(), adam) for networks in (generators, judges))
    buffers = Buffer(), Buffer()

    def step(rows: torch.Tensor) -> None:
        target = scaled(rows)
        source = target.flip(0)
        judges.requires_grad_(False)
        made = to_target(source), to_source(target)
        adversarial = sum((judge(images) - 1).square().mean() for judge, images in zip(judges, made, strict=True))
        cycle = F.l1_loss(to_source(made[0]), source) + F.l1_loss(to_target(made[1]), target)
        identity = F.l1_loss(to_target(target), target) + F.l1_loss(to_source(source), source)
        optimizer.zero_grad()
        (adversarial + CYCLE_WEIGHT * cycle + IDENTITY_WEIGHT * identity).backward()
        optimizer.step()
        judges.requires_grad_(True)
        judging.zero_grad()
        for judge, real, images, buffer in zip(judges, (target, source), made, buffers, strict=True):
            shown = buffer.exchange(images.detach())
            (0.5 * ((judge(real) - 1).square().mean() + judge(shown).square().mean())).backward()
        judging.step()

    return step
