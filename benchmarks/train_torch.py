"""Train the network of mnist_gan or mnist_dcgan in PyTorch, for the same steps on the same data, and draw samples.

    pip install -e '.[bench]'
    python benchmarks/train_torch.py mnist_gan --seed 0 --out torch_samples.npz
    jaxgen evaluate --real mnist --generated torch_samples.npz

It is a reference for jaxgen's training: networks, initializers, batch, update and moving average are the same.
"""

import copy
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import tyro
from common import DCGAN_GENERATOR, LATENT_SIZE, PROBLEMS, cores
from torch import nn
from torch_gan import (
    dcgan_discriminator,
    dcgan_generator,
    gan_step,
    initialize,
    mlp_discriminator,
    mlp_generator,
)
from torch_training import move_average, shuffled_batches

from jaxgen.data import load
from jaxgen.data.dataset import unscale_images
from jaxgen.experiments import mnist_dcgan, mnist_gan


@dataclass(frozen=True)
class Options:
    """Train one of jaxgen's GANs in PyTorch and write samples of the generator's moving average."""

    experiment: tyro.conf.Positional[Literal["mnist_gan", "mnist_dcgan"]]
    """The experiment whose networks and settings are used."""
    out: Path
    """The .npz file of samples to write, uint8."""
    seed: int = 0
    """Seed of weights, noise and order."""
    steps: int | None = None
    """Number of training steps. None: that of the experiment's default preset."""
    num: int = 10_000
    """Number of samples to draw."""


def main() -> None:
    options = tyro.cli(Options)
    torch.manual_seed(options.seed)
    torch.set_num_threads(cores())
    config = {"mnist_gan": mnist_gan, "mnist_dcgan": mnist_dcgan}[options.experiment].DEFAULT
    if options.experiment == "mnist_gan":
        generator, discriminator, scale = mlp_generator(batch_norm=True), mlp_discriminator(), None
    else:
        generator = dcgan_generator(DCGAN_GENERATOR, output_activation=nn.Tanh())
        sizes = config.network
        discriminator = dcgan_discriminator(sizes.discriminator_widths, hidden_width=sizes.discriminator_hidden_width)
        scale = 0.02
    for network in (generator, discriminator):
        initialize(network, scale=scale)
    average = copy.deepcopy(generator)
    adam = PROBLEMS["mlp_gan"].adam
    step = gan_step(
        generator,
        discriminator,
        adam._replace(learning_rate=config.optimizer.generator_learning_rate),
        discriminator_adam=adam._replace(learning_rate=config.optimizer.discriminator_learning_rate),
        r1_estimate=config.model.penalty_weight if config.model.penalties == "r1_estimate" else 0.0,
        clip_norm=config.optimizer.clip_norm,
    )
    images = torch.from_numpy(load("mnist").train["image"]).permute(0, 3, 1, 2).contiguous()
    steps, batch = options.steps or config.run.steps, config.run.batch_size
    start = time.monotonic()
    for i, rows in enumerate(shuffled_batches(images, batch, steps), 1):
        step(rows)
        move_average(average, generator, min(config.optimizer.ema_decay, i / (9 + i)))  # as `update_average`
        if i % 500 == 0:
            print(f"step {i}/{steps}  {i * batch / (time.monotonic() - start):,.0f} images/s", flush=True)
    average.eval()
    with torch.no_grad():
        blocks = [average(torch.randn(250, LATENT_SIZE)).permute(0, 2, 3, 1) for _ in range(-(-options.num // 250))]
    np.savez_compressed(options.out, image=unscale_images(torch.cat(blocks).numpy())[: options.num])
    print(f"{options.num} samples after {steps} steps: {options.out}")


if __name__ == "__main__":
    main()
