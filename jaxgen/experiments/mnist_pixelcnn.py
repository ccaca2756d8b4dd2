"""A gated PixelCNN on binary MNIST (van den Oord et al. 2016, https://arxiv.org/abs/1606.05328).

    python -m jaxgen.experiments.mnist_pixelcnn
    python -m jaxgen.experiments.mnist_pixelcnn --conditional
    jaxgen sample runs/mnist_pixelcnn/001 --label 7

eval/autoregressive/nats is -log p(x) itself, not a bound, of the 10,000 test images, binarized at random. The preset
full is for an accelerator: one 7x7 kernel and 15 of 3x3 as in a PixelCNN (https://arxiv.org/abs/1601.06759, table 1),
with 128 channels. An epoch is 3,750 steps of 16 images.
"""

from dataclasses import dataclass
from typing import Annotated

import optax

from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import within
from jaxgen.core.types import Assets
from jaxgen.experiments._adam import AveragedAdamOptions
from jaxgen.experiments._binary_images import BINARY_IMAGES, BinaryImagesConfig, build_image_model
from jaxgen.experiments._digits import load_digits
from jaxgen.experiments._grids import PixelCNNOptions
from jaxgen.networks.pixel_cnn import GatedPixelCNN
from jaxgen.runs.experiment import Experiment


@dataclass(frozen=True)
class NetworkOptions(PixelCNNOptions):
    """The network, a gated PixelCNN."""

    first_reach: Annotated[int, *within(1, 64)] = 3
    """Number of pixels that the first layer sees to each side and up: 3 is half of a 7x7 kernel."""
    reach: Annotated[int, *within(0, 64)] = 1
    """Number of pixels that the other layers see to each side and up: 1 is half of a 3x3 kernel."""


@dataclass(frozen=True)
class Config(BinaryImagesConfig):
    """Options of mnist_pixelcnn."""

    network: NetworkOptions = NetworkOptions()
    optimizer: AveragedAdamOptions = AveragedAdamOptions()


DEFAULT = Config().replace(
    **BINARY_IMAGES, steps=8_000, batch_size=16, steps_per_dispatch=10, eval_every=2_000, width=24, layers=6
)


def build_model(config: Config, assets: Assets) -> GenerativeModel:
    """Return an autoregressive model by a gated PixelCNN."""

    options = config.network

    def network_of(num_classes: int | None) -> GatedPixelCNN:
        return GatedPixelCNN(
            2,
            width=options.width,
            layers=options.layers,
            first_reach=options.first_reach,
            reach=options.reach,
            hidden_width=2 * options.width,
            num_classes=num_classes,
            embedding_width=2,  # black, white, and nothing beyond the border
        )

    return build_image_model(config, assets, network_of, optax.adam(config.optimizer.learning_rate))


EXPERIMENT = Experiment(
    file=__file__,
    family="autoregressive",
    summary="gated PixelCNN",
    data="MNIST",
    expected_time="15 min on 1 CPU core",
    presets={
        "quick": DEFAULT.replace(steps=200, width=16, layers=4, sample_every=100, checkpoint_every=100, log_every=20),
        "default": DEFAULT,
        "full": DEFAULT.replace(
            steps=200_000,
            steps_per_dispatch=50,
            batch_size=128,
            width=128,
            layers=16,  # one of 7x7 and 15 of 3x3
            learning_rate=3e-4,
            ema_decay=0.9999,
            sample_every=10_000,
            checkpoint_every=10_000,
            eval_every=10_000,
        ),
    },
    load_data=lambda config: load_digits(config.data),
    build_model=build_model,
)


if __name__ == "__main__":
    EXPERIMENT.main()
