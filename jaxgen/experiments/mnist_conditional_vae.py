"""A class-conditional VAE on MNIST (Sohn et al. 2015, "Learning structured output representation").

    python -m jaxgen.experiments.mnist_conditional_vae
    jaxgen sample runs/mnist_conditional_vae/001 --label 7

Encoder and decoder are given the class, so that the latents describe the style. An epoch is 469 steps.
"""

from jaxgen.core.model import GenerativeModel
from jaxgen.core.types import Assets
from jaxgen.experiments._digits import QUICK
from jaxgen.experiments._vae import VAE_VALUES, VAEConfig, build_vae, load_data
from jaxgen.runs.experiment import Experiment

DEFAULT = VAEConfig().replace(**VAE_VALUES)


def build_model(config: VAEConfig, assets: Assets) -> GenerativeModel:
    """Return a `VAE` with the networks of mnist_vae, given the class."""
    return build_vae(config, assets, num_classes=len(assets["class_names"]))


EXPERIMENT = Experiment(
    file=__file__,
    family="VAE",
    summary="class-conditional VAE",
    data="MNIST",
    expected_time="6 min on 1 CPU core",
    presets={
        "quick": DEFAULT.replace(**QUICK),
        "default": DEFAULT,
        "full": DEFAULT.replace(steps=140_700, eval_every=4_690, sample_every=4_690),
    },
    load_data=lambda config: load_data(config.data, config.model),
    build_model=build_model,
)


if __name__ == "__main__":
    EXPERIMENT.main()
