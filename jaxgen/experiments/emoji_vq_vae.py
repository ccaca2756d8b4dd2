"""A VQ-VAE on emoji (van den Oord et al. 2017, https://arxiv.org/abs/1711.00937).

    python -m jaxgen.experiments.emoji_vq_vae
    jaxgen latent runs/emoji_vq_vae/001 reconstruct
    python -m jaxgen.experiments.mnist_vq_vae_prior --first-stage runs/emoji_vq_vae/001

eval/vq_vae/reconstruction is -log p(x | codes) of held-out emoji in nats of a density (or, with --likelihood
discretised_logistic, of 256 levels: then there are bits per dimension too). Its own samples are of codes that are drawn
uniformly: the second stage, the prior, learns which codes go together.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jaxgen.data import Dataset
from jaxgen.experiment import Experiment, run
from jaxgen.experiments._vq_vae import PAPER, VQVAEConfig, build_vq_vae, load_vq_data
from jaxgen.training.state import GenerativeModel


@dataclass(frozen=True)
class Config(VQVAEConfig):
    """Options of emoji_vq_vae."""

    steps: int = 4_000
    """How many training steps the run has in all (54 are one epoch with --batch-size 64)."""
    batch_size: int = 64
    """Examples per step, over all devices together."""


def load_data(config: Config) -> Dataset:
    """The images."""
    return load_vq_data(config, "emoji")


def build_model(config: Config, assets: Mapping[str, Any]) -> GenerativeModel:
    """Two convolutions of stride 2 and two residual blocks each way, as in the paper's section 4.1."""
    return build_vq_vae(config, assets)


EXPERIMENT = Experiment(
    file=__file__,
    summary="VQ-VAE: images as grids of codes",
    data="emoji",
    expected_time="not measured yet",
    presets={
        "quick": Config(steps=100, width=16, residual_width=16, sample_every=50, checkpoint_every=50, log_every=20),
        "default": Config(),
        "full": Config(
            steps=250_000,
            batch_size=128,
            steps_per_dispatch=50,
            checkpoint_every=10_000,
            sample_every=10_000,
            eval_every=10_000,
            **PAPER,
        ),
    },
    load_data=load_data,
    build_model=build_model,
)


def main() -> None:
    sys.exit(run(EXPERIMENT))


if __name__ == "__main__":
    main()
