"""The benchmark's entries in PyTorch, eager."""

import itertools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from common import (
    BATCH,
    BETA1,
    BETA2,
    DCGAN_DISCRIMINATOR,
    DCGAN_GENERATOR,
    EPSILON,
    LATENT_SIZE,
    LEARNING_RATE,
    MLP_DISCRIMINATOR,
    MLP_GENERATOR,
    SLOPE,
    cores,
    images,
)
from torch import nn


def mlp_gan() -> Callable[[int], None]:
    def hidden(widths):
        for before, after in itertools.pairwise(widths):
            yield from (nn.Linear(before, after), nn.LeakyReLU(SLOPE))

    generator = nn.Sequential(
        *hidden((LATENT_SIZE, *MLP_GENERATOR)),
        nn.Linear(MLP_GENERATOR[-1], 784),
        nn.Tanh(),
        nn.Unflatten(1, (1, 28, 28)),
    )
    discriminator = nn.Sequential(
        nn.Flatten(), *hidden((784, *MLP_DISCRIMINATOR)), nn.Linear(MLP_DISCRIMINATOR[-1], 1), nn.Flatten(0)
    )
    return gan(generator, discriminator)


def dcgan() -> Callable[[int], None]:
    stem, first, second = DCGAN_GENERATOR
    generator = nn.Sequential(
        nn.Linear(LATENT_SIZE, 7 * 7 * stem, bias=False),
        nn.Unflatten(1, (stem, 7, 7)),
        nn.BatchNorm2d(stem),
        nn.LeakyReLU(SLOPE),
        nn.ConvTranspose2d(stem, first, 5, 1, padding=2, bias=False),
        nn.BatchNorm2d(first),
        nn.LeakyReLU(SLOPE),
        nn.ConvTranspose2d(first, second, 5, 2, padding=2, output_padding=1, bias=False),
        nn.BatchNorm2d(second),
        nn.LeakyReLU(SLOPE),
        nn.ConvTranspose2d(second, 1, 5, 2, padding=2, output_padding=1),
        nn.Tanh(),
    )
    first, second = DCGAN_DISCRIMINATOR
    discriminator = nn.Sequential(
        nn.Conv2d(1, first, 5, 2, padding=2),
        nn.LeakyReLU(SLOPE),
        nn.Conv2d(first, second, 5, 2, padding=2),
        nn.LeakyReLU(SLOPE),
        nn.Flatten(),
        nn.Linear(7 * 7 * second, 1),
        nn.Flatten(0),
    )
    return gan(generator, discriminator)


def gan(generator: nn.Module, discriminator: nn.Module) -> Callable[[int], None]:
    """Both networks updated at the same point, with one forward pass through D(G(z)) for both losses."""
    torch.set_num_threads(cores())
    data = torch.from_numpy(images()).permute(0, 3, 1, 2).contiguous()  # uint8 [N, 1, 28, 28]
    options = {"lr": LEARNING_RATE, "betas": (BETA1, BETA2), "eps": EPSILON}
    generator_parameters = list(generator.parameters())
    discriminator_parameters = list(discriminator.parameters())
    generator_optimiser = torch.optim.Adam(generator_parameters, **options)
    discriminator_optimiser = torch.optim.Adam(discriminator_parameters, **options)

    def step(rows: torch.Tensor) -> None:
        real = rows.float() / 127.5 - 1
        fake_logits = discriminator(generator(torch.randn(BATCH, LATENT_SIZE)))
        real_logits = discriminator(real)
        discriminator_loss = (F.softplus(-real_logits) + F.softplus(fake_logits)).mean()
        generator_loss = F.softplus(-fake_logits).mean()
        discriminator_grads = torch.autograd.grad(discriminator_loss, discriminator_parameters, retain_graph=True)
        generator_grads = torch.autograd.grad(generator_loss, generator_parameters)
        for parameters, grads, optimiser in (
            (discriminator_parameters, discriminator_grads, discriminator_optimiser),
            (generator_parameters, generator_grads, generator_optimiser),
        ):
            for parameter, grad in zip(parameters, grads, strict=True):
                parameter.grad = grad
            optimiser.step()

    position = 0

    def run(steps: int) -> None:
        nonlocal position
        for _ in range(steps):
            step(data[position : position + BATCH])
            position = (position + BATCH) % len(data)

    return run


BUILDERS = {"mlp_gan": mlp_gan, "dcgan": dcgan}
