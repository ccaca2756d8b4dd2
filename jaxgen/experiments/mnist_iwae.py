"""The importance-weighted autoencoder on MNIST (Burda et al. 2016, https://arxiv.org/abs/1509.00519).

    python -m jaxgen.experiments.mnist_iwae

trains on the bound of 50 latents an image. eval/vae/log_likelihood is log p(x) estimated with 5,000, at the end of the
run only. The preset full has the settings that pythae publishes a figure for, which are nearly the paper's: 3,280
epochs of a fixed binarisation (mnist_vae says of which images); the default resamples the training images, as the
paper does, and stops after 122.
"""

import sys
from dataclasses import dataclass
from typing import Literal

from jaxgen.experiment import Experiment, run
from jaxgen.experiments._vae import VAEConfig, build_vae, load_data

EPOCH = 3_000
MILESTONES = (2, 5, 14, 28, 41, 122, 365, 1_094)


@dataclass(frozen=True)
class Config(VAEConfig):
    """Options of mnist_iwae."""

    steps: int = 122 * EPOCH
    """How many training steps the run has in all (3,000 are one epoch of MNIST)."""
    batch_size: int = 20
    """Examples per step, over all devices together."""
    eval_every: int = 0
    """Steps between evaluations on the held-out examples. 0: only at the end."""
    sample_every: int = EPOCH
    """Steps between sample sheets, always of the same latents. 0: only at the end."""
    checkpoint_every: int = EPOCH
    """Steps between checkpoints; one is always kept at the end. 0: only at the end."""
    latent_size: int = 50
    """Length of the latent vectors."""
    widths: tuple[int, ...] = (200, 200)
    """Hidden layers of the fully connected encoder, and in reverse of the decoder."""
    activation: Literal["relu", "tanh", "softplus"] = "tanh"
    """Of those hidden layers."""
    importance_samples: int = 50
    """Latents drawn for each image; above 1 the bound is the importance-weighted one."""
    eval_importance_samples: int | None = 5_000
    """Evaluation also estimates log p(x) with this many latents an image (which takes as many times longer)."""
    epsilon: float = 1e-4
    """Its epsilon."""
    decay_at: tuple[int, ...] = tuple(EPOCH * milestone for milestone in MILESTONES)
    """The steps at which the learning rate falls."""
    decay_factor: float = 10 ** (-1 / 7)
    """By what it is multiplied at each of them."""


EXPERIMENT = Experiment(
    file=__file__,
    summary="importance-weighted autoencoder",
    data="MNIST",
    expected_time="not measured yet",
    presets={
        "quick": Config(steps=EPOCH, sample_every=500, eval_importance_samples=100),
        "default": Config(),
        "full": Config(steps=3_280 * EPOCH, binarisation="fixed", checkpoint_every=10 * EPOCH, sample_every=10 * EPOCH),
    },
    load_data=load_data,
    build_model=build_vae,
)


def main() -> None:
    sys.exit(run(EXPERIMENT))


if __name__ == "__main__":
    main()
