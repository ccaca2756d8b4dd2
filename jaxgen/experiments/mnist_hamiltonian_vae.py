"""The Hamiltonian VAE on MNIST (Caterini et al. 2018, https://arxiv.org/abs/1805.11328).

    python -m jaxgen.experiments.mnist_hamiltonian_vae

Hamiltonian dynamics move the latents that the encoder proposes toward the true posterior. eval/vae/log_likelihood is
log p(x) estimated with 1,000 draws, at the end of the run only. The preset full has the settings for which pythae
publishes a figure: 2,000 epochs of a fixed binarization (mnist_vae says of which images), dynamics of fixed steps
without tempering (experiments/mnist_hamiltonian_vae says what that figure measures). The default preset learns the
dynamics, as the paper does, resamples the training images and stops after 300 epochs, of 600 steps each.
"""

from dataclasses import dataclass
from typing import Annotated

from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import Depth, PositiveFloat, within
from jaxgen.core.types import Assets
from jaxgen.experiments._vae import VAEConfig, build_vae, load_data
from jaxgen.models.vae import hamiltonian_posterior
from jaxgen.runs.experiment import Experiment

EPOCH = 600


@dataclass(frozen=True)
class DynamicsOptions:
    """The Hamiltonian dynamics, which move the latents toward the true posterior."""

    leapfrog_steps: Depth = 4
    """Number of leapfrog steps of the dynamics, each of which takes a gradient of the decoder."""
    leapfrog_step_size: PositiveFloat = 0.05
    """Size of the leapfrog steps (the initial one with --learn-dynamics)."""
    initial_temperature: Annotated[float, *within(0, 1, low_open=True)] = 0.5
    """The tempering's beta_0, above 0 and at most 1 (the initial one with --learn-dynamics). 1: no tempering."""
    learn_dynamics: bool = True
    """Whether the step size of each latent and beta_0 are trained, as in the paper."""


@dataclass(frozen=True)
class Config(VAEConfig):
    """Options of mnist_hamiltonian_vae."""

    dynamics: DynamicsOptions = DynamicsOptions()


DEFAULT = Config().replace(
    steps=300 * EPOCH,
    batch_size=100,
    sample_every=5 * EPOCH,
    checkpoint_every=5 * EPOCH,
    latent_size=64,
    widths=(300,),
    activation="softplus",
    eval_importance_samples=1_000,
    optimizer="adamax",
    learning_rate=5e-4,
    decay_at=tuple(EPOCH * milestone for milestone in (200, 350, 500, 750, 1_000)),
    decay_factor=10 ** (-1 / 5),
)


def build_model(config: Config, assets: Assets) -> GenerativeModel:
    """Return a `VAE` with Hamiltonian dynamics, 784-300-64-300-784 by default."""
    dynamics = config.dynamics
    posterior = hamiltonian_posterior(
        config.model.latent_size,
        steps=dynamics.leapfrog_steps,
        step_size=dynamics.leapfrog_step_size,
        initial_temperature=dynamics.initial_temperature,
        learn_dynamics=dynamics.learn_dynamics,
    )
    return build_vae(config, assets, posterior=posterior)


EXPERIMENT = Experiment(
    file=__file__,
    family="VAE",
    summary="VAE with Hamiltonian dynamics",
    data="MNIST",
    expected_time="150 min on 1 busy CPU core, by 51 ms a step",
    presets={
        "quick": DEFAULT.replace(
            steps=2 * EPOCH, sample_every=EPOCH, checkpoint_every=EPOCH, eval_importance_samples=10
        ),
        "default": DEFAULT,
        "full": DEFAULT.replace(
            steps=2_000 * EPOCH,
            binarization="fixed",
            initial_temperature=1.0,
            learn_dynamics=False,
            sample_every=20 * EPOCH,
            checkpoint_every=10 * EPOCH,
        ),
    },
    load_data=lambda config: load_data(config.data, config.model),
    build_model=build_model,
)


if __name__ == "__main__":
    EXPERIMENT.main()
