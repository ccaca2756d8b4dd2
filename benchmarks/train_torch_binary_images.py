"""Train the network of mnist_made or mnist_pixelcnn in PyTorch, for the same steps on the same images.

    pip install -e '.[bench]'
    python benchmarks/train_torch_binary_images.py mnist_made --widths 500 --no-direct
    python benchmarks/train_torch_binary_images.py mnist_pixelcnn

Network, initializers, batch, update and moving average are those of jaxgen; -log p is of the same 10,000 test images,
which were binarized at random once.
"""

import copy
import time
from dataclasses import dataclass
from typing import Any, Literal

import torch
import tyro
from common import Adam, cores
from torch import nn
from torch_binary_images import MADE, GatedPixelCNN, binary_image_step, nats
from torch_gan import initialize
from torch_training import move_average, shuffled_batches

from jaxgen.experiments import mnist_made, mnist_pixelcnn
from jaxgen.experiments._digits import load_digits

EXPERIMENTS: dict[str, Any] = {"mnist_made": mnist_made, "mnist_pixelcnn": mnist_pixelcnn}


@dataclass(frozen=True)
class Options:
    """Train one of jaxgen's autoregressive models of binary images in PyTorch."""

    experiment: tyro.conf.Positional[Literal["mnist_made", "mnist_pixelcnn"]]
    """The experiment whose network and settings are used."""
    seed: int = 0
    """Seed of weights, noise and order."""
    steps: int | None = None
    """Number of training steps. None: that of the experiment's default preset."""
    widths: tuple[int, ...] = mnist_made.DEFAULT.network.widths
    """Widths of the hidden layers of mnist_made."""
    direct: bool = True
    """Also connect pixels of mnist_made directly to the logits of later ones."""
    eval_every: int = 4_000
    """Number of steps between evaluations."""


def main() -> None:
    options = tyro.cli(Options)
    torch.manual_seed(options.seed)
    torch.set_num_threads(cores())
    config = EXPERIMENTS[options.experiment].DEFAULT
    network = network_of(options, config)
    initialize(network, scale=None)
    average = copy.deepcopy(network)
    step = binary_image_step(network, Adam(config.optimizer.learning_rate, 0.9, 0.999))
    data = load_digits(config.data)
    images, test = (torch.from_numpy(split["image"]).squeeze(-1) for split in (data.train, data.test))
    steps, start, paused = options.steps or config.run.steps, time.monotonic(), 0.0
    for i, rows in enumerate(shuffled_batches(images, config.run.batch_size, steps), 1):
        step(rows)
        move_average(average, network, min(config.optimizer.ema_decay, i / (9 + i)))  # as `update_average`
        if i % options.eval_every == 0 or i == steps:
            before = time.monotonic()
            with torch.no_grad():
                losses = torch.cat([nats(average, block) for block in (test > 127).float().split(250)])
            paused += time.monotonic() - before
            speed = i * config.run.batch_size / (time.monotonic() - start - paused)
            print(f"step {i}/{steps}  {losses.mean():.2f} nats  {speed:,.0f} images/s", flush=True)


def network_of(options: Options, config: Any) -> nn.Module:
    """Build the network with jaxgen's settings."""
    network = config.network
    if options.experiment == "mnist_made":
        return MADE(options.widths, degrees_seed=network.degrees_seed, direct=options.direct)
    return GatedPixelCNN(network.width, network.layers, network.first_reach, network.reach, 2 * network.width)


if __name__ == "__main__":
    main()
