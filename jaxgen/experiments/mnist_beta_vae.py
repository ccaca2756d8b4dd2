"""beta-VAE on MNIST (Higgins et al. 2017, https://openreview.net/forum?id=Sy2fzU9gl).

    python -m jaxgen.experiments.mnist_beta_vae

weighs the KL term more than a VAE does, so that few latents are in use, each for something of its own. Its weight
rises over the first epochs; --free-bits keeps latents from being switched off.
"""

from dataclasses import dataclass

from jaxgen.core.options import CountFromZero, NonNegativeFloat, Size
from jaxgen.experiments._vae import VAEConfig, build_vae, load_data
from jaxgen.runs.experiment import Experiment


@dataclass(frozen=True)
class Config(VAEConfig):
    """Options of mnist_beta_vae."""

    latent_size: Size = 10
    """Length of the latent vectors."""
    beta: NonNegativeFloat = 4.0
    """Weight of the KL term."""
    kl_warmup_steps: CountFromZero = 4_690
    """Over how many steps the weight of the KL term rises from 0."""


EXPERIMENT = Experiment(
    file=__file__,
    family="VAE",
    summary="VAE with a weighted KL term",
    data="MNIST",
    expected_time="3 min on 1 CPU core",
    presets={
        "quick": Config(steps=1_407, kl_warmup_steps=469, sample_every=469, checkpoint_every=469),
        "default": Config(),
        "full": Config(steps=140_700, kl_warmup_steps=14_070, eval_every=4_690, sample_every=4_690),
    },
    load_data=load_data,
    build_model=build_vae,
)


if __name__ == "__main__":
    EXPERIMENT.main()
