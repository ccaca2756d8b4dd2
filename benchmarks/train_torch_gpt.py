"""Train the network of kjv_gpt in PyTorch, for the same steps on the same windows, and print its held-out loss.

    pip install -e '.[bench]'
    python benchmarks/train_torch_gpt.py --seed 0

Network, initializers, batch, schedule and update are those of nanoGPT; experiments/kjv_gpt has the same in jaxgen. The
loss is the mean over all held-out windows, as in jaxgen.
"""

import time
from dataclasses import dataclass

import torch
import torch.nn.functional as F
import tyro
from common import PROBLEMS, cores
from torch_gpt import GPT, language_model_step
from torch_training import shuffled_batches

from jaxgen.experiments import kjv_gpt
from jaxgen.experiments._adamw import schedule_of
from jaxgen.experiments._gpt import NANOGPT


@dataclass(frozen=True)
class Options:
    """Train kjv_gpt's network in PyTorch."""

    seed: int = 0
    """Seed of weights and order."""
    steps: int = kjv_gpt.DEFAULT.run.steps
    """Number of training steps."""


def main() -> None:
    options = tyro.cli(Options)
    config = kjv_gpt.DEFAULT.replace(steps=options.steps, **NANOGPT)
    run, sizes, optimizer = config.run, config.network, config.optimizer
    torch.manual_seed(options.seed)
    torch.set_num_threads(cores())
    data = kjv_gpt.EXPERIMENT.load_data(config)
    train, test = (torch.from_numpy(split["tokens"]) for split in (data.train, data.test))
    characters = len(data.assets["vocabulary"]["characters"])
    network = GPT(characters, config.data.context, sizes.layers, sizes.heads, sizes.width)
    adam = PROBLEMS["gpt"].adam._replace(beta1=optimizer.beta1, beta2=optimizer.beta2)
    step, schedule = language_model_step(network, adam), schedule_of(optimizer, run)
    rates = [float(schedule(i)) for i in range(run.steps)]
    start = time.monotonic()
    for rows, rate in zip(shuffled_batches(train, run.batch_size, run.steps), rates, strict=True):
        step(rows, rate)
    seconds = time.monotonic() - start
    with torch.no_grad():
        losses = [
            F.cross_entropy(network(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten(), reduction="sum").item()
            for rows in test.long().split(256)
        ]
    loss = sum(losses) / test[:, 1:].numel()
    print(f"seed {options.seed}: {loss:.4f} nats a character after {run.steps} steps, {seconds:.0f} s")


if __name__ == "__main__":
    main()
