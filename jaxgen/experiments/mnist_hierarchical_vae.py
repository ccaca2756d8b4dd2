"""A ladder VAE on MNIST (Sonderby et al. 2016, https://arxiv.org/abs/1602.02282).

    python -m jaxgen.experiments.mnist_hierarchical_vae

A ladder VAE has several layers of latents, each inferred from the image below and from the layer above. The weight of
the KL term rises over the first epochs, of 469 steps each; otherwise the upper layers are switched off.
"""

from dataclasses import dataclass
from typing import Annotated

from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import within
from jaxgen.core.types import Assets
from jaxgen.experiments._digits import EPOCH, QUICK, BinarizationOptions
from jaxgen.experiments._vae import BoundOptions, VAEOptimizerOptions, bound_fields, load_data
from jaxgen.models.vae import HierarchicalVAE
from jaxgen.networks.ladder import LATENT_SIZES, WIDTHS, LadderDecoder, LadderEncoder
from jaxgen.runs.experiment import Experiment
from jaxgen.training.config import TrainConfig


@dataclass(frozen=True)
class LadderOptions:
    """The encoder and the decoder."""

    layers: Annotated[int, *within(1, len(LATENT_SIZES))] = 5
    """Number of layers of latents, from the images upwards, of the paper's layers of 64, 32, 16, 8 and 4 latents."""
    batch_norm: bool = True
    """Whether there is batch norm before each activation, as in the paper."""


@dataclass(frozen=True)
class Config(TrainConfig):
    """Options of mnist_hierarchical_vae."""

    data: BinarizationOptions = BinarizationOptions()
    model: BoundOptions = BoundOptions()
    network: LadderOptions = LadderOptions()
    optimizer: VAEOptimizerOptions = VAEOptimizerOptions(ema_decay=None)


DEFAULT = Config().replace(steps=100 * EPOCH, kl_warmup_steps=20 * EPOCH, eval_every=EPOCH)


def build_model(config: Config, assets: Assets) -> GenerativeModel:
    """Return a `HierarchicalVAE` of the paper's sizes.

    There are 512, 256, 128, 64 and 32 hidden units before 64, 32, 16, 8 and 4 latents.
    """
    layers, batch_norm = config.network.layers, config.network.batch_norm
    sizes, widths = LATENT_SIZES[:layers], WIDTHS[:layers]
    fields = bound_fields(config.model, config.optimizer, assets)
    height, width, channels = assets["image_shape"]
    parameters = (height, width, channels * fields["likelihood"].parameters_per_channel)
    return HierarchicalVAE(
        LadderEncoder(sizes, widths, batch_norm),
        LadderDecoder(parameters, sizes, widths, batch_norm),
        latent_sizes=sizes,
        **fields,
    ).model()


EXPERIMENT = Experiment(
    file=__file__,
    family="VAE",
    summary="VAE with five layers of latents",
    data="MNIST",
    expected_time="34 min on 1 CPU core",
    presets={
        "quick": DEFAULT.replace(**QUICK, kl_warmup_steps=EPOCH),
        "default": DEFAULT,
        "full": DEFAULT.replace(
            steps=470_000,  # 2,000 epochs
            batch_size=256,
            kl_warmup_steps=47_000,
            eval_every=23_500,
            eval_importance_samples=200,
            sample_every=4_700,
            checkpoint_every=4_700,
        ),
    },
    load_data=lambda config: load_data(config.data, config.model),
    build_model=build_model,
)


if __name__ == "__main__":
    EXPERIMENT.main()
