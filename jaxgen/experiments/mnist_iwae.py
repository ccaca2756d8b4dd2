"""The importance-weighted autoencoder on MNIST (Burda et al. 2016, https://arxiv.org/abs/1509.00519).

    python -m jaxgen.experiments.mnist_iwae
    python -m jaxgen.experiments.mnist_iwae --init-from runs/mnist_iwae/001 --importance-samples 50 --batch-size 20 \\
        --learning-rate 5e-4 --steps 140000 --decay-at 50000 90000 120000 --decay-factor 0.4 \\
        --eval-importance-samples 5000

The first line trains on the bound of 5 latents an image, the second goes on with that of 50. eval/vae/log_likelihood is
log p(x), estimated with as many latents as --eval-importance-samples says, at the end of the run only. The preset full
has the settings that pythae publishes a figure for, which are nearly the paper's: 50 latents from the beginning and
3,280 epochs of a fixed binarization (mnist_vae says of which images); the others resample the training images, as the
paper does.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from jaxgen.core.options import Count, CountFromZero, PositiveFloat, Rate, Size, Widths, within
from jaxgen.experiments._vae import VAEConfig, build_vae, load_data
from jaxgen.runs.experiment import Experiment

EPOCH = 3_000  # of the preset full, whose batches are of 20
MILESTONES = (2, 5, 14, 28, 41, 122, 365, 1_094)


@dataclass(frozen=True)
class Config(VAEConfig):
    """Options of mnist_iwae."""

    steps: Count = 100_000
    """How many training steps the run has in all (600 of 100 images are one epoch of MNIST)."""
    batch_size: Count = 100
    """Examples per step, over all devices together."""
    eval_every: CountFromZero = 0
    """Steps between evaluations on the held-out examples. 0: only at the end."""
    sample_every: CountFromZero = 10_000
    """Steps between sample sheets, always of the same latents. 0: only at the end."""
    checkpoint_every: CountFromZero = 5_000
    """Steps between checkpoints; one is always kept at the end. 0: only at the end."""
    latent_size: Size = 50
    """Length of the latent vectors."""
    widths: Widths = (200, 200)
    """Hidden layers of the fully connected encoder, and in reverse of the decoder."""
    activation: Literal["relu", "tanh", "softplus"] = "tanh"
    """Of those hidden layers."""
    importance_samples: Annotated[int, *within(1, 10**6)] = 5
    """Latents drawn for each image; above 1 the bound is the importance-weighted one."""
    eval_importance_samples: Annotated[int, *within(1, 10**6)] | None = 200
    """Evaluation also estimates log p(x) with this many latents an image (which takes as many times longer)."""
    epsilon: PositiveFloat = 1e-4
    """Its epsilon."""
    ema_decay: Rate | None = 0.9998
    """Decay of the moving average of the weights that evaluation and samples use, once it is warm. None: no average."""


EXPERIMENT = Experiment(
    file=__file__,
    family="VAE",
    summary="importance-weighted autoencoder",
    data="MNIST",
    expected_time="30 min on 1 CPU core",
    presets={
        "quick": Config(steps=3_000, sample_every=500, checkpoint_every=500, eval_importance_samples=100),
        "default": Config(),
        "full": Config(
            steps=3_280 * EPOCH,
            batch_size=20,
            binarization="fixed",
            importance_samples=50,
            eval_importance_samples=5_000,
            decay_at=tuple(EPOCH * milestone for milestone in MILESTONES),
            decay_factor=10 ** (-1 / 7),
            ema_decay=None,
            checkpoint_every=10 * EPOCH,
            sample_every=10 * EPOCH,
        ),
    },
    load_data=load_data,
    build_model=build_vae,
)


if __name__ == "__main__":
    EXPERIMENT.main()
