"""The benchmark's entries in PyTorch, eager."""

from collections.abc import Callable

import torch
from common import BATCH, DCGAN_DISCRIMINATOR, LATENT_SIZE, LEARNING_RATE, cores, images
from torch import nn
from torch_gan import dcgan_discriminator, dcgan_generator, gan_step, mlp_discriminator, mlp_generator


def mlp_gan() -> Callable[[int], None]:
    return gan(mlp_generator(), mlp_discriminator())


def dcgan() -> Callable[[int], None]:
    return gan(dcgan_generator(), dcgan_discriminator(DCGAN_DISCRIMINATOR))


def gan(generator: nn.Module, discriminator: nn.Module) -> Callable[[int], None]:
    torch.set_num_threads(cores())
    data = torch.from_numpy(images()).permute(0, 3, 1, 2).contiguous()  # uint8 [N, 1, 28, 28]
    rates = {"generator_learning_rate": LEARNING_RATE, "discriminator_learning_rate": LEARNING_RATE}
    step = gan_step(generator, discriminator, **rates)
    position = 0

    def run(steps: int) -> None:
        nonlocal position
        for _ in range(steps):
            step(data[position : position + BATCH], torch.randn(BATCH, LATENT_SIZE))
            position = (position + BATCH) % len(data)

    return run


BUILDERS = {"mlp_gan": mlp_gan, "dcgan": dcgan}
