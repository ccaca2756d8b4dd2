"""beta-VAE on MNIST (Higgins et al. 2017, https://openreview.net/forum?id=Sy2fzU9gl).

    python -m jaxgen.experiments.mnist_beta_vae

A beta-VAE weighs the KL term more than a VAE does, so that few latents are in use, each for a factor of its own. The
weight rises over the first epochs, of 469 steps each; --free-bits keeps latents from being switched off.
"""

from jaxgen.experiments._digits import QUICK
from jaxgen.experiments._vae import VAE_VALUES, VAEConfig, build_vae, load_data
from jaxgen.runs.experiment import Experiment

DEFAULT = VAEConfig().replace(**VAE_VALUES).replace(latent_size=10, beta=4.0, kl_warmup_steps=4_690)


EXPERIMENT = Experiment(
    file=__file__,
    family="VAE",
    summary="VAE with a weighted KL term",
    data="MNIST",
    expected_time="3 min on 1 CPU core",
    presets={
        "quick": DEFAULT.replace(**QUICK, kl_warmup_steps=469),
        "default": DEFAULT,
        "full": DEFAULT.replace(steps=140_700, kl_warmup_steps=14_070, eval_every=4_690, sample_every=4_690),
    },
    load_data=lambda config: load_data(config.data, config.model),
    build_model=build_vae,
)


if __name__ == "__main__":
    EXPERIMENT.main()
