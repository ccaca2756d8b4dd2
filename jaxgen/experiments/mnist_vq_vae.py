"""A VQ-VAE on MNIST (van den Oord et al. 2017, https://arxiv.org/abs/1711.00937).

    python -m jaxgen.experiments.mnist_vq_vae
    jaxgen latent runs/mnist_vq_vae/001 reconstruct
    python -m jaxgen.experiments.mnist_vq_vae_prior --first-stage runs/mnist_vq_vae/001

eval/vq_vae/reconstruction is -log p(x | codes) in nats, of the 10,000 test images made binary by chance; with the nats
of a prior over the codes it bounds -log p(x). Its own samples are of codes that are drawn uniformly: the second stage,
the prior, learns which codes go together.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from jaxgen.core.options import Count, Size, within
from jaxgen.data import load
from jaxgen.experiments._vq_vae import PAPER, VQVAEConfig, build_vq_vae, with_variance
from jaxgen.runs.experiment import Experiment


@dataclass(frozen=True)
class Config(VQVAEConfig):
    """Options of mnist_vq_vae."""

    steps: Count = 5_000
    """How many training steps the run has in all (469 are one epoch of MNIST with --batch-size 128)."""
    likelihood: Literal["bernoulli", "squared_error", "discretised_logistic"] = "bernoulli"
    """What the decoder gives the parameters of. bernoulli: pixels made binary by chance, the test images once (seed 0).
    squared_error: a mean; the error is divided by the variance of the data, as in the paper's code.
    discretised_logistic: 256 levels, for bits per dimension."""
    num_codes: Annotated[int, *within(2, 2**20)] = 64
    """Codes in the code book."""
    code_size: Size = 16
    """Length of a code."""


EXPERIMENT = Experiment(
    file=__file__,
    family="discrete codes",
    summary="VQ-VAE: images as grids of codes",
    data="MNIST",
    expected_time="27 min on 1 busy CPU core",
    presets={
        "quick": Config(steps=200, width=16, residual_width=16, sample_every=100, checkpoint_every=100, log_every=20),
        "default": Config(),
        "full": Config(steps=100_000, steps_per_dispatch=50, checkpoint_every=10_000, sample_every=10_000, **PAPER),
    },
    load_data=lambda config: with_variance(config, load("mnist")),
    build_model=build_vq_vae,
)


if __name__ == "__main__":
    EXPERIMENT.main()
