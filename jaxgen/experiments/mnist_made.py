"""MADE, a masked autoencoder, on binary MNIST (Germain et al. 2015, https://arxiv.org/abs/1502.03509).

    python -m jaxgen.experiments.mnist_made
    python -m jaxgen.experiments.mnist_made --widths 500 500 --binarization fixed
    python -m jaxgen.experiments.mnist_made --conditional

eval/autoregressive/nats is -log p(x) itself, not a bound, of the 10,000 test images, binarized at random. The preset
full has the settings of the authors' command for MNIST (https://github.com/mgermain/MADE: Adagrad 0.01, batches of 100,
8000 units, pixels connected to logits directly), but one hidden layer and one mask instead of two and 32. An epoch is
469 steps.
"""

import functools
from dataclasses import dataclass
from typing import Annotated, Literal

import optax

from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import Length, PositiveFloat, Seed, Size, formerly
from jaxgen.core.types import Assets
from jaxgen.experiments._averages import AverageOptions
from jaxgen.experiments._binary_images import BINARY_IMAGES, BinaryImagesConfig, build_image_model
from jaxgen.experiments._digits import EPOCH, QUICK, load_digits
from jaxgen.networks.made import TokenMADE
from jaxgen.runs.experiment import Experiment

# The authors' epsilon is 1e-6 for the sum over 784 pixels; the loss here is their mean. The sum of squares begins at 0.
OPTIMIZERS = {
    "adam": optax.adam,
    "adagrad": functools.partial(optax.adagrad, initial_accumulator_value=0.0, eps=1e-6 / 784**2),
}


@dataclass(frozen=True)
class MADEOptions:
    """The network."""

    widths: Annotated[tuple[Size, ...], Length(1, 64)] = (1000,)
    """Widths of the hidden layers."""
    degrees_seed: Seed = 0
    """Seed of the hidden units' degrees, which say which pixels each unit sees."""
    direct: bool = True
    """Also connect pixels directly to the logits of later ones."""


@dataclass(frozen=True)
class OptimizerOptions(AverageOptions):
    """The optimizer, and the average of the weights."""

    optimizer: Annotated[Literal[tuple(OPTIMIZERS)], formerly("optimiser")] = "adam"
    """Optimizer: Adam or Adagrad."""
    learning_rate: PositiveFloat = 3e-3
    """Learning rate of the optimizer."""


@dataclass(frozen=True)
class Config(BinaryImagesConfig):
    """Options of mnist_made."""

    network: MADEOptions = MADEOptions()
    optimizer: OptimizerOptions = OptimizerOptions()


DEFAULT = Config().replace(**BINARY_IMAGES, steps=60 * EPOCH, eval_every=EPOCH)


def build_model(config: Config, assets: Assets) -> GenerativeModel:
    """Return an autoregressive model by MADE, 784-1000-784 by default."""

    network, optimizer = config.network, config.optimizer

    def network_of(num_classes: int | None) -> TokenMADE:
        return TokenMADE(2, network.widths, network.degrees_seed, network.direct, num_classes)

    return build_image_model(config, assets, network_of, OPTIMIZERS[optimizer.optimizer](optimizer.learning_rate))


EXPERIMENT = Experiment(
    file=__file__,
    family="autoregressive",
    summary="MADE, a masked autoencoder",
    data="MNIST",
    expected_time="15 min on 1 CPU core",
    presets={
        "quick": DEFAULT.replace(**QUICK),
        "default": DEFAULT,
        "full": DEFAULT.replace(
            steps=120_000,  # 200 epochs
            batch_size=100,
            binarization="fixed",
            widths=(8000,),
            optimizer="adagrad",
            learning_rate=0.01,
            ema_decay=None,
            eval_every=600,
            sample_every=6_000,
            checkpoint_every=6_000,
        ),
    },
    load_data=lambda config: load_digits(config.data),
    build_model=build_model,
)


if __name__ == "__main__":
    EXPERIMENT.main()
