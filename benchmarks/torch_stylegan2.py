"""StyleGAN2's networks and step, as in `jaxgen.networks.stylegan2` and `jaxgen.models.stylegan2`, in PyTorch."""

import copy
import functools
import itertools
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from common import (
    MAPPING_LAYERS,
    MIXING,
    PATH_EVERY,
    PATH_WEIGHT,
    R1_EVERY,
    R1_WEIGHT,
    STYLE_EMA,
    STYLE_LATENT_SIZE,
    STYLE_MAPS,
    Adam,
)
from torch import nn
from torch_training import adam_optimizer, move_average, scaled

GROUP = 4  # images of a group of the minibatch standard deviation


def widths_of(size: int) -> list[int]:
    """Return the widths of the maps of side 4, 8, ... up to the image's."""
    sides = [4 << i for i in range(int(math.log2(size)) - 1)]
    return [min(STYLE_MAPS["channel_base"] // side, STYLE_MAPS["channel_max"]) for side in sides]


def scaled_leaky_relu(inputs: torch.Tensor) -> torch.Tensor:
    return F.leaky_relu(inputs, 0.2) * math.sqrt(2.0)


@functools.cache
def filter_taps(device: torch.device) -> torch.Tensor:
    return torch.tensor([1.0, 3.0, 3.0, 1.0], device=device) / 8.0


def smooth(maps: torch.Tensor, pads: tuple[int, int], gain: float, *, stride: int = 1) -> torch.Tensor:
    """Filter both axes, each channel by itself."""
    channels = maps.shape[1]
    taps = (filter_taps(maps.device) * gain**0.5).expand(channels, 1, 4)
    padded = F.pad(maps, (*pads, *pads))
    return F.conv2d(
        F.conv2d(padded, taps[..., None], stride=(stride, 1), groups=channels),
        taps[:, :, None],
        stride=(1, stride),
        groups=channels,
    )


def upsampled(maps: torch.Tensor) -> torch.Tensor:
    """Double the size: put zeros between the pixels and filter."""
    batch, channels, height, width = maps.shape
    spread = maps.new_zeros(batch, channels, height, 2, width, 2)
    spread[:, :, :, 0, :, 0] = maps
    return smooth(spread.reshape(batch, channels, 2 * height, 2 * width), (2, 1), 4.0)


class Dense(nn.Module):
    def __init__(self, width_in: int, width: int, *, bias: float = 0.0, rate: float = 1.0):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(width, width_in) / rate)
        self.bias = nn.Parameter(torch.full((width,), bias / rate))
        self.gain, self.rate = rate / math.sqrt(width_in), rate

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return F.linear(inputs, self.weight * self.gain, self.bias * self.rate)


class Conv(nn.Module):
    """A convolution with equalized learning rate; `down` filters and halves."""

    def __init__(self, width_in: int, width: int, size: int = 3, *, down: bool = False, bias: bool = True):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(width, width_in, size, size))
        self.bias = nn.Parameter(torch.zeros(width)) if bias else None
        self.gain, self.down, self.size = 1.0 / (size * math.sqrt(width_in)), down, size

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        weight = self.weight * self.gain
        if not self.down:
            return F.conv2d(maps, weight, self.bias, padding=self.size // 2)
        if self.size == 1:
            return F.conv2d(smooth(maps, (1, 1), 1.0, stride=2), weight, self.bias)
        return F.conv2d(smooth(maps, (2, 2), 1.0), weight, self.bias, stride=2)


class ModulatedConv(nn.Module):
    """A convolution whose inputs are scaled by the style and outputs demodulated, with one kernel for all examples."""

    def __init__(self, width_in: int, width: int, size: int = 3, *, demodulate: bool = True, up: bool = False):
        super().__init__()
        self.style = Dense(STYLE_LATENT_SIZE, width_in, bias=1.0)
        self.weight = nn.Parameter(torch.randn(width, width_in, size, size))
        self.gain, self.size, self.demodulate, self.up = 1.0 / (size * math.sqrt(width_in)), size, demodulate, up

    def forward(self, maps: torch.Tensor, style: torch.Tensor) -> torch.Tensor:
        weight, scale = self.weight * self.gain, self.style(style)
        maps = maps * scale[:, :, None, None]
        if self.up:
            maps = smooth(F.conv_transpose2d(maps, weight.transpose(0, 1), stride=2), (1, 1), 4.0)
        else:
            maps = F.conv2d(maps, weight, padding=self.size // 2)
        if not self.demodulate:
            return maps
        size = scale.square() @ weight.square().sum((2, 3)).T
        return maps * torch.rsqrt(size + 1e-8)[:, :, None, None]


class StyledConv(nn.Module):
    def __init__(self, width_in: int, width: int, *, up: bool = False):
        super().__init__()
        self.conv = ModulatedConv(width_in, width, up=up)
        self.strength = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, maps: torch.Tensor, style: torch.Tensor) -> torch.Tensor:
        maps = self.conv(maps, style)
        noise = torch.randn_like(maps[:, :1])
        return scaled_leaky_relu(maps + self.strength * noise + self.bias[:, None, None])


class Generator(nn.Module):
    """The mapping network, and the synthesis as a sum of images of all sizes."""

    def __init__(self, channels: int, size: int):
        super().__init__()
        widths = widths_of(size)
        self.mapping = nn.ModuleList(
            [Dense(STYLE_LATENT_SIZE, STYLE_LATENT_SIZE, rate=0.01) for _ in range(MAPPING_LAYERS)]
        )
        self.constant = nn.Parameter(torch.randn(1, widths[0], 4, 4))
        self.first = StyledConv(widths[0], widths[0])
        pairs = list(itertools.pairwise(widths))
        self.up = nn.ModuleList([StyledConv(before, width, up=True) for before, width in pairs])
        self.same = nn.ModuleList([StyledConv(width, width) for _, width in pairs])
        self.to_image = nn.ModuleList([ModulatedConv(width, channels, 1, demodulate=False) for width in widths])
        self.biases = nn.ParameterList([nn.Parameter(torch.zeros(channels)) for _ in widths])
        self.num_styles = 2 * len(widths)

    def map(self, latents: torch.Tensor) -> torch.Tensor:
        hidden = latents * torch.rsqrt(latents.square().mean(-1, keepdim=True) + 1e-8)
        for layer in self.mapping:
            hidden = scaled_leaky_relu(layer(hidden))
        return hidden

    def mixed(self, batch: int) -> torch.Tensor:
        """Return styles [B, N, S], most of them of two latents."""
        device = self.constant.device
        both = self.map(torch.randn(2 * batch, STYLE_LATENT_SIZE, device=device)).reshape(batch, 2, 1, -1)
        crossover = 1 + torch.randint(self.num_styles - 1, (batch,), device=device)
        crossover = torch.where(torch.rand(batch, device=device) < MIXING, crossover, self.num_styles)
        first = torch.arange(self.num_styles, device=device) < crossover[:, None]
        return torch.where(first[..., None], both[:, 0], both[:, 1])

    def forward(self, styles: torch.Tensor) -> torch.Tensor:
        maps = self.first(self.constant.expand(len(styles), -1, -1, -1), styles[:, 0])
        image = self.to_image[0](maps, styles[:, 1]) + self.biases[0][:, None, None]
        for i, (up, same) in enumerate(zip(self.up, self.same, strict=True)):
            maps = same(up(maps, styles[:, 2 * i + 1]), styles[:, 2 * i + 2])
            image = upsampled(image) + self.to_image[i + 1](maps, styles[:, 2 * i + 3])
            image = image + self.biases[i + 1][:, None, None]
        return image


class Block(nn.Module):
    def __init__(self, width_in: int, width: int):
        super().__init__()
        self.beside = Conv(width_in, width, 1, down=True, bias=False)
        self.first, self.second = Conv(width_in, width_in), Conv(width_in, width, down=True)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        hidden = scaled_leaky_relu(self.second(scaled_leaky_relu(self.first(maps))))
        return (hidden + self.beside(maps)) / math.sqrt(2.0)


class Discriminator(nn.Module):
    def __init__(self, channels: int, size: int):
        super().__init__()
        widths = widths_of(size)[::-1]
        self.first = Conv(channels, widths[0], 1)
        self.blocks = nn.Sequential(*(Block(*pair) for pair in itertools.pairwise(widths)))
        self.conv = Conv(widths[-1] + 1, widths[-1])
        self.hidden, self.logit = Dense(16 * widths[-1], widths[-1]), Dense(widths[-1], 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.blocks(scaled_leaky_relu(self.first(images)))
        groups = maps.reshape(GROUP, -1, *maps.shape[1:])
        deviation = (groups.var(0, unbiased=False) + 1e-8).sqrt().mean((1, 2, 3)).repeat(GROUP)
        channel = deviation[:, None, None, None].expand(-1, 1, *maps.shape[2:])
        maps = scaled_leaky_relu(self.conv(torch.cat([maps, channel], 1)))
        return self.logit(scaled_leaky_relu(self.hidden(maps.flatten(1))))[:, 0]


def stylegan2_step(generator: Generator, discriminator: Discriminator, adam: Adam) -> Callable[[torch.Tensor], None]:
    """Return `step(rows uint8 [B, C, H, W])`: two updates, and the two penalties at their intervals."""
    generating, judging = (
        adam_optimizer(network.parameters(), lazy(adam, every))
        for network, every in ((generator, PATH_EVERY), (discriminator, R1_EVERY))
    )
    average, steps = copy.deepcopy(generator).requires_grad_(False), 0
    device = generator.constant.device
    style_mean, path_mean = torch.zeros(STYLE_LATENT_SIZE, device=device), torch.zeros((), device=device)

    def move(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def step(rows: torch.Tensor) -> None:
        nonlocal steps
        real = scaled(rows)
        discriminator.requires_grad_(False)
        styles = generator.mixed(len(real))
        style_mean.lerp_(styles[:, 0].detach().mean(0), 0.005)
        move(generating, F.softplus(-discriminator(generator(styles))).mean())
        if steps % PATH_EVERY == 0:
            styles = generator.mixed(len(real) // 2)
            images = generator(styles)
            directions = torch.randn_like(images) / math.sqrt(images.shape[2] * images.shape[3])
            (grads,) = torch.autograd.grad((images * directions).sum(), styles, create_graph=True)
            lengths = grads.square().sum(-1).mean(-1).sqrt()
            path_mean.lerp_(lengths.detach().mean(), 0.01)
            move(generating, PATH_EVERY * PATH_WEIGHT * (lengths - path_mean).square().mean())
        discriminator.requires_grad_(True)
        with torch.no_grad():
            fake = generator(generator.mixed(len(real)))
        move(judging, (F.softplus(-discriminator(real)) + F.softplus(discriminator(fake))).mean())
        if steps % R1_EVERY == 0:
            real.requires_grad_(True)
            (grads,) = torch.autograd.grad(discriminator(real).sum(), real, create_graph=True)
            move(judging, R1_EVERY * R1_WEIGHT * 0.5 * grads.square().sum((1, 2, 3)).mean())
        move_average(average, generator, STYLE_EMA)
        steps += 1

    return step


def lazy(adam: Adam, every: int) -> Adam:
    """Return the settings with which a network moves as far as if the penalty were part of each step."""
    share = every / (every + 1)
    return adam._replace(learning_rate=share * adam.learning_rate, beta2=adam.beta2**share)
