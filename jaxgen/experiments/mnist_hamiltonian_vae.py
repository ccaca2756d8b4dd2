"""The Hamiltonian VAE on MNIST (Caterini et al. 2018, https://arxiv.org/abs/1805.11328).

    python -m jaxgen.experiments.mnist_hamiltonian_vae

moves the latents that the encoder proposes by Hamiltonian dynamics toward the true posterior. eval/vae/log_likelihood
is log p(x) estimated with 1,000 draws, at the end of the run only. The preset full has the settings that pythae
publishes a figure for: 2,000 epochs of a fixed binarization (mnist_vae says of which images), dynamics of fixed steps
without tempering (experiments/mnist_hamiltonian_vae says what that figure is of). The default learns the dynamics, as
the paper does, resamples the training images and stops after 300 epochs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import Count, CountFromZero, Depth, PositiveFloat, Size, Widths, formerly, within
from jaxgen.experiments._vae import DecayAt, VAEConfig, build_vae, load_data
from jaxgen.models.vae import hamiltonian_posterior
from jaxgen.runs.experiment import Experiment

EPOCH = 600


@dataclass(frozen=True)
class Config(VAEConfig):
    """Options of mnist_hamiltonian_vae."""

    steps: Count = 300 * EPOCH
    """How many training steps the run has in all (600 are one epoch of MNIST)."""
    batch_size: Count = 100
    """Examples per step, over all devices together."""
    eval_every: CountFromZero = 0
    """Steps between evaluations on the held-out examples. 0: only at the end."""
    sample_every: CountFromZero = 5 * EPOCH
    """Steps between sample sheets, always of the same latents. 0: only at the end."""
    checkpoint_every: CountFromZero = 5 * EPOCH
    """Steps between checkpoints; one is always kept at the end. 0: only at the end."""
    latent_size: Size = 64
    """Length of the latent vectors."""
    widths: Widths = (300,)
    """Hidden layers of the fully connected encoder, and in reverse of the decoder."""
    activation: Literal["relu", "tanh", "softplus"] = "softplus"
    """Of those hidden layers."""
    eval_importance_samples: Annotated[int, *within(1, 10**6)] | None = 1_000
    """Evaluation also estimates log p(x) with this many latents an image (which takes as many times longer)."""
    optimizer: Annotated[Literal["adam", "adamax"], formerly("optimiser")] = "adamax"
    """The optimizer."""
    learning_rate: PositiveFloat = 5e-4
    """Its learning rate at first."""
    decay_at: DecayAt = tuple(EPOCH * milestone for milestone in (200, 350, 500, 750, 1_000))
    """The steps at which the learning rate falls."""
    decay_factor: PositiveFloat = 10 ** (-1 / 5)
    """By what it is multiplied at each of them."""
    leapfrog_steps: Depth = 4
    """Steps of the dynamics, each of which takes a gradient of the decoder."""
    leapfrog_step_size: PositiveFloat = 0.05
    """How large they are."""
    initial_temperature: Annotated[float, *within(0, 1, low_open=True)] = 0.5
    """beta_0 of the tempering, above 0 and at most 1; 1 is none."""
    learn_dynamics: bool = True
    """Whether the steps' size, of each latent, and beta_0 are trained, as in the paper."""


def build_model(config: Config, assets: Mapping[str, Any]) -> GenerativeModel:
    """Return a `VAE` with Hamiltonian dynamics, 784-300-64-300-784 by default."""
    posterior = hamiltonian_posterior(
        config.latent_size,
        steps=config.leapfrog_steps,
        step_size=config.leapfrog_step_size,
        initial_temperature=config.initial_temperature,
        learn_dynamics=config.learn_dynamics,
    )
    return build_vae(config, assets, posterior=posterior)


EXPERIMENT = Experiment(
    file=__file__,
    family="VAE",
    summary="VAE with Hamiltonian dynamics",
    data="MNIST",
    expected_time="150 min on 1 busy CPU core, by 51 ms a step",
    presets={
        "quick": Config(steps=2 * EPOCH, sample_every=EPOCH, checkpoint_every=EPOCH, eval_importance_samples=10),
        "default": Config(),
        "full": Config(
            steps=2_000 * EPOCH,
            binarization="fixed",
            initial_temperature=1.0,
            learn_dynamics=False,
            sample_every=20 * EPOCH,
            checkpoint_every=10 * EPOCH,
        ),
    },
    load_data=load_data,
    build_model=build_model,
)


if __name__ == "__main__":
    EXPERIMENT.main()
