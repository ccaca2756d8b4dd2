"""A class-conditional VAE on MNIST (Sohn et al. 2015, "Learning structured output representation").

    python -m jaxgen.experiments.mnist_conditional_vae
    jaxgen sample runs/mnist_conditional_vae/001 --label 7

tells encoder and decoder the class, so that the latents are left with the style.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jaxgen.core.model import GenerativeModel
from jaxgen.experiments._vae import VAEConfig, build_vae, load_data
from jaxgen.runs.experiment import Experiment


@dataclass(frozen=True)
class Config(VAEConfig):
    """Options of mnist_conditional_vae."""


def build_model(config: Config, assets: Mapping[str, Any]) -> GenerativeModel:
    """Return a `VAE` of the networks of mnist_vae, given the class."""
    return build_vae(config, assets, num_classes=len(assets["class_names"]))


EXPERIMENT = Experiment(
    file=__file__,
    family="VAE",
    summary="class-conditional VAE",
    data="MNIST",
    expected_time="6 min on 1 CPU core",
    presets={
        "quick": Config(steps=1_407, sample_every=469, checkpoint_every=469),
        "default": Config(),
        "full": Config(steps=140_700, eval_every=4_690, sample_every=4_690),
    },
    load_data=load_data,
    build_model=build_model,
)


if __name__ == "__main__":
    EXPERIMENT.main()
