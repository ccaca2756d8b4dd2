"""Photographs in the style of one picture, in a single pass (Johnson et al. 2016, https://arxiv.org/abs/1603.08155).

    python -m jaxgen.experiments.photo_style --style painting.jpg
    python -m jaxgen.experiments.photo_style --style painting.jpg --data path/to/photographs
    jaxgen stylize photo.jpg runs/photo_style/001

The network learns from the patches of photographs of photo_super_resolution; without --style the style is that of a
stained tissue among the pictures that come with scikit-image. The loss is that of jaxgen stylize PHOTO PICTURE, which
needs no training, but minutes for each photograph. eval/translator/style is the distance of the Gram matrices of
stylized held-out patches from the picture's, and plain_style that of the original patches.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import jax
import jax.numpy as jnp
import optax

from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import (
    DepthFromZero,
    NonNegativeFloat,
    Size,
    within,
)
from jaxgen.core.types import Assets, Variables
from jaxgen.data import Dataset
from jaxgen.data.dataset import scaled
from jaxgen.data.photos import load_patches, photo_of
from jaxgen.data.picture_file import read_scaled
from jaxgen.experiments._averages import AverageOptions
from jaxgen.experiments._photos import PatchOptions
from jaxgen.experiments._restoration import CosineAdamOptions, TurnOptions
from jaxgen.metrics.extractors import efficientnet_maps
from jaxgen.models.image_to_image.stylization import Style, Stylization, Weights, style_of
from jaxgen.networks.translators import ResNetTranslator
from jaxgen.runs.experiment import Experiment
from jaxgen.runs.first_stage import unknown_arrays
from jaxgen.training.config import TrainConfig

DEFAULT_STYLE = "ihc.png"


@dataclass(frozen=True)
class StyleOptions:
    """The picture of the style, and the weight of its style."""

    style: Path | None = None
    """Picture of the style. None: a stained tissue, of scikit-image."""
    style_size: Annotated[int, *within(32, 2**15)] = 384
    """Longer side to which the picture of the style is scaled, in pixels: a smaller one has finer strokes."""
    style_weight: NonNegativeFloat = 10.0
    """Weight of the style beside the content, whose weight is 1; at 100 nothing of the photograph is left."""
    smoothness: NonNegativeFloat = 20.0
    """Weight of the penalty on differences of neighboring pixels."""


@dataclass(frozen=True)
class StylePatchOptions(PatchOptions):
    """The pictures whose patches are learned from."""

    image_size: Annotated[int, *within(32, 2**15)] = 128
    """Side of the patches in pixels."""


@dataclass(frozen=True)
class NetworkOptions:
    """The network."""

    width: Size = 16
    """Channels of the network at its first size; the paper has 32."""
    blocks: DepthFromZero = 5
    """Number of residual blocks of the network."""
    residual: bool = True
    """Predict what is added to a photograph (initially nothing); the paper's network predicts the picture, which fails
    to keep the photograph here."""


@dataclass(frozen=True)
class OptimizerOptions(AverageOptions, CosineAdamOptions):
    """Adam, with a learning rate that falls along a cosine, and an average."""


@dataclass(frozen=True)
class Config(TrainConfig):
    """Options of photo_style."""

    data: StylePatchOptions = StylePatchOptions()
    model: StyleOptions = StyleOptions()
    network: NetworkOptions = NetworkOptions()
    optimizer: OptimizerOptions = OptimizerOptions(ema_decay=0.99)
    augmentation: TurnOptions = TurnOptions(turn=True)


DEFAULT = Config().replace(
    steps=2_000,
    batch_size=4,
    steps_per_dispatch=5,
    log_every=20,
    eval_every=500,
    sample_every=500,
    checkpoint_every=250,
)


def load_data(config: Config) -> Dataset:
    """Load patches of the pictures named by --data; the assets have the path of the style."""
    path = photo_of(DEFAULT_STYLE) if config.model.style is None else config.model.style
    if not config.run.resume:
        read_scaled(path, config.model.style_size)  # a file that cannot be read is refused before anything is written
    data = load_patches(config.data.data, size=config.data.image_size, test_fraction=config.data.test_fraction)
    return dataclasses.replace(data, assets={**data.assets, "style": str(path.resolve())})


def build_model(config: Config, assets: Assets) -> GenerativeModel:
    """Return a `Stylization` by CycleGAN's ResNet, the paper's network with 7x7 kernels for 9x9, and instance norm."""
    return Stylization(
        ResNetTranslator(
            3,
            config.network.width,
            blocks=config.network.blocks,
            bounded=not config.network.residual,
            residual=config.network.residual,
        ),
        style=style_from(Path(assets["style"]), config.model.style_size),
        weights=Weights(style=config.model.style_weight, smoothness=config.model.smoothness),
        optimizer=optax.adam(optax.cosine_decay_schedule(config.optimizer.learning_rate, config.run.steps)),
        turn=config.augmentation.turn,
        ema_decay=config.optimizer.ema_decay,
    ).model()


def style_from(path: Path, size: int) -> Style:
    """Return the style of a picture, by EfficientNet-Lite0.

    A run that is resumed or opened has it in its own checkpoint, so that the picture may be gone.
    """
    variables, maps = efficientnet_maps()

    def grams(image: jax.Array) -> list[jax.Array]:
        return style_of(maps(variables, image))

    def load() -> Variables:
        if path.is_file():
            found = jax.jit(grams)(jnp.asarray(scaled(read_scaled(path, size)))[None])
        else:
            found = unknown_arrays(jax.eval_shape(grams, jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32)))
        return {"network": variables, "grams": found}

    return Style(load, maps)


EXPERIMENT = Experiment(
    file=__file__,
    family="images from images",
    summary="style transfer in one pass",
    data="photographs, --data ... --style ...",
    expected_time="16 min on 1 CPU core",
    presets={
        "quick": DEFAULT.replace(
            steps=20, width=8, blocks=1, image_size=64, eval_every=10, sample_every=10, checkpoint_every=10
        ),
        "default": DEFAULT,
        "full": DEFAULT.replace(
            steps=40_000,
            image_size=256,
            width=32,
            eval_every=5_000,
            sample_every=5_000,
            checkpoint_every=5_000,
        ),
    },
    load_data=load_data,
    build_model=build_model,
)


if __name__ == "__main__":
    EXPERIMENT.main()
