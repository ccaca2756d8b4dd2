"""A ladder VAE on MNIST (Sonderby et al. 2016, https://arxiv.org/abs/1602.02282).

    python -m jaxgen.experiments.mnist_hierarchical_vae

has several layers of latents, each drawn from the images below it and from the layer above. The weight of the KL term
rises over the first epochs, without which the upper layers are switched off.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import Count, CountFromZero, within
from jaxgen.experiments._vae import BoundConfig, bound_options, load_data
from jaxgen.models.vae import HierarchicalVAE
from jaxgen.networks.ladder import LATENT_SIZES, WIDTHS, LadderDecoder, LadderEncoder
from jaxgen.runs.experiment import Experiment


@dataclass(frozen=True)
class Config(BoundConfig):
    """Options of mnist_hierarchical_vae."""

    steps: Count = 46_900
    """How many training steps the run has in all (469 are one epoch of MNIST with --batch-size 128)."""
    kl_warmup_steps: CountFromZero = 9_380
    """Over how many steps the weight of the KL term rises from 0."""
    layers: Annotated[int, *within(1, len(LATENT_SIZES))] = 5
    """How many layers of latents there are: of the paper's 64, 32, 16, 8 and 4, the first so many."""
    batch_norm: bool = True
    """Whether batch norm stands before each activation, as in the paper."""


def build_model(config: Config, assets: Mapping[str, Any]) -> GenerativeModel:
    """Return a `HierarchicalVAE` of the paper's sizes.

    512, 256, 128, 64 and 32 hidden units before 64, 32, 16, 8 and 4 latents.
    """
    sizes, widths = LATENT_SIZES[: config.layers], WIDTHS[: config.layers]
    options = bound_options(config)
    height, width, channels = assets["image_shape"]
    parameters = (height, width, channels * options["likelihood"].parameters_per_channel)
    return HierarchicalVAE(
        LadderEncoder(sizes, widths, config.batch_norm),
        LadderDecoder(parameters, sizes, widths, config.batch_norm),
        latent_sizes=sizes,
        **options,
    ).model()


EXPERIMENT = Experiment(
    file=__file__,
    family="VAE",
    summary="VAE with five layers of latents",
    data="MNIST",
    expected_time="34 min on 1 CPU core",
    presets={
        "quick": Config(steps=1_407, kl_warmup_steps=469, sample_every=469, checkpoint_every=469),
        "default": Config(),
        "full": Config(
            steps=470_000,  # 2,000 epochs
            batch_size=256,
            kl_warmup_steps=47_000,
            eval_every=23_500,
            eval_importance_samples=200,
            sample_every=4_700,
            checkpoint_every=4_700,
        ),
    },
    load_data=load_data,
    build_model=build_model,
)


if __name__ == "__main__":
    EXPERIMENT.main()
