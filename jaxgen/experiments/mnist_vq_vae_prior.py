"""A gated PixelCNN as the prior of a VQ-VAE's codes (van den Oord et al. 2017, https://arxiv.org/abs/1711.00937).

    python -m jaxgen.experiments.mnist_vq_vae
    python -m jaxgen.experiments.mnist_vq_vae_prior --first-stage runs/mnist_vq_vae/001
    python -m jaxgen.experiments.mnist_vq_vae_prior --first-stage runs/emoji_vq_vae/001 --run-dir runs/emoji_prior

The first stage is copied into this run, with the hash of the state it came from; images are encoded within the step.
eval/autoregressive/nats, of the codes of a held-out image, plus the first stage's eval/vq_vae/reconstruction is a bound
of -log p(x).
"""

import dataclasses
from dataclasses import dataclass

import optax

from jaxgen.core.errors import UserError
from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import Rate
from jaxgen.core.types import Assets, present
from jaxgen.data import Dataset
from jaxgen.experiments._adam import AdamOptions
from jaxgen.experiments._first_stage import FirstStageOptions
from jaxgen.experiments._grids import ClassOptions, PixelCNNOptions
from jaxgen.experiments._images import class_count
from jaxgen.models.autoregressive.grids import AutoregressiveGrid
from jaxgen.networks.pixel_cnn import GatedPixelCNN
from jaxgen.runs.experiment import Experiment
from jaxgen.runs.first_stage import first_stage_of, first_stage_tokenizer, load_first_stage_data
from jaxgen.training.config import TrainConfig


@dataclass(frozen=True)
class OptimizerOptions(AdamOptions):
    """Adam, and the average of the weights."""

    ema_decay: Rate = 0.999
    """Decay of the moving average of the weights that evaluation and samples use, once it is warm."""


@dataclass(frozen=True)
class Config(TrainConfig):
    """Options of mnist_vq_vae_prior."""

    data: FirstStageOptions = FirstStageOptions()
    model: ClassOptions = ClassOptions()
    network: PixelCNNOptions = PixelCNNOptions()
    optimizer: OptimizerOptions = OptimizerOptions()


DEFAULT = Config().replace(steps=5_000, steps_per_dispatch=10, eval_every=1_000, width=32, layers=6)


def load_data(config: Config) -> Dataset:
    """Load the data of the first stage; the assets describe the first stage."""
    folder = config.data.first_stage
    if folder is None:
        raise UserError(
            "A prior needs codes to learn: name a run of mnist_vq_vae or emoji_vq_vae with --first-stage RUN."
        )
    described = first_stage_of(config, folder)
    data = load_first_stage_data(described, folder)
    return dataclasses.replace(data, assets={**data.assets, "first_stage": described})


def build_model(config: Config, assets: Assets) -> GenerativeModel:
    """Return an autoregressive model by a gated PixelCNN over the first stage's grid of codes."""
    described = assets["first_stage"]
    num_classes = class_count(assets) if config.model.conditional else None
    network = GatedPixelCNN(
        described["num_codes"],
        width=config.network.width,
        layers=config.network.layers,
        hidden_width=4 * config.network.width,
        num_classes=num_classes,
    )
    return AutoregressiveGrid(
        network,
        token_shape=described["grid_shape"],
        optimizer=optax.adam(config.optimizer.learning_rate),
        num_classes=num_classes,
        tokenizer=first_stage_tokenizer(described, present(config.data.first_stage)),
        ema_decay=config.optimizer.ema_decay,
    ).model()


EXPERIMENT = Experiment(
    file=__file__,
    family="discrete codes",
    summary="PixelCNN prior over a VQ-VAE's codes",
    data="of the first stage",
    expected_time="15 min on 1 CPU core",
    presets={
        "quick": DEFAULT.replace(steps=200, width=16, layers=4, sample_every=100, checkpoint_every=100, log_every=20),
        "default": DEFAULT,
        "full": DEFAULT.replace(
            steps=200_000,
            steps_per_dispatch=50,
            width=256,
            layers=15,
            learning_rate=3e-4,
            ema_decay=0.9999,
            sample_every=10_000,
            checkpoint_every=10_000,
            eval_every=10_000,
        ),
    },
    load_data=load_data,
    build_model=build_model,
)


if __name__ == "__main__":
    EXPERIMENT.main()
