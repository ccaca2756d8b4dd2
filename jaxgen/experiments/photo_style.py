"""Photographs in the manner of one picture, in one pass (Johnson et al. 2016, https://arxiv.org/abs/1603.08155).

    python -m jaxgen.experiments.photo_style --style painting.jpg
    python -m jaxgen.experiments.photo_style --style painting.jpg --data path/to/photographs
    jaxgen stylize photo.jpg runs/photo_style/001

Trains on patches of photographs, those of photo_super_resolution; without --style the manner is that of a stained
tissue among the pictures that come with scikit-image. The loss is that of `jaxgen stylize PHOTO PICTURE`, which needs
no training, but minutes for each photograph. eval/translator/style is how far the held-out patches' Gram matrices are
from the picture's, plain_style the same before they were drawn anew.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import optax

from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import (
    Count,
    CountFromZero,
    DepthFromZero,
    NonNegativeFloat,
    PositiveFloat,
    Rate,
    Size,
    Text,
    within,
)
from jaxgen.data import Dataset
from jaxgen.data.dataset import scaled
from jaxgen.data.photos import PHOTOS, load_patches, photo_of
from jaxgen.data.picture_file import read_scaled
from jaxgen.metrics.extractors import efficientnet_maps
from jaxgen.models.image_to_image.stylization import Style, Stylization, Weights, style_of
from jaxgen.networks.translators import ResNetTranslator
from jaxgen.runs.experiment import Experiment
from jaxgen.runs.first_stage import unknown_arrays
from jaxgen.training.config import TrainConfig

DEFAULT_STYLE = "ihc.png"


@dataclass(frozen=True)
class Config(TrainConfig):
    """Options of photo_style."""

    style: Path | None = None
    """The picture in whose manner. None: a stained tissue, of scikit-image."""
    style_size: Annotated[int, *within(32, 2**15)] = 384
    """The longer side of the style: a smaller one has finer strokes."""
    data: Text = PHOTOS
    """A folder of pictures, or photos: those that come with scikit-image."""
    image_size: Annotated[int, *within(32, 2**15)] = 128
    """Side of the patches in pixels."""
    test_fraction: Annotated[float, *within(0.001, 0.5)] = 0.2
    """Which part of a folder's pictures is held out, whole."""
    batch_size: Count = 4
    """Examples per step, over all devices together."""
    steps: Count = 2_000
    """How many training steps the run has in all."""
    steps_per_dispatch: Count = 5
    """Steps run on the device between two returns to Python (results do not depend on it)."""
    log_every: CountFromZero = 20
    """Steps between lines of metrics.jsonl (means over those steps). 0: only at the end."""
    eval_every: CountFromZero = 500
    """Steps between evaluations on the held-out examples. 0: only at the end."""
    sample_every: CountFromZero = 500
    """Steps between sheets: patches of held-out pictures, and what becomes of them. 0: only at the end."""
    checkpoint_every: CountFromZero = 250
    """Steps between checkpoints; one is always kept at the end. 0: only at the end."""
    width: Size = 16
    """Channels of the network at the first size; the paper's are 32."""
    blocks: DepthFromZero = 5
    """Residual blocks."""
    residual: bool = True
    """The network gives what is added to a photograph, at first nothing; the paper's gives the picture, and does not
    find back to the photograph here."""
    style_weight: NonNegativeFloat = 10.0
    """How much the manner counts beside what is drawn, which counts 1; of 100 nothing of the photograph is left."""
    smoothness: NonNegativeFloat = 20.0
    """How much neighboring pixels are to be alike."""
    learning_rate: PositiveFloat = 1e-3
    """Adam's; it falls to 0 along a cosine."""
    turn: bool = True
    """Photographs are mirrored and turned by chance in training."""
    ema_decay: Rate | None = 0.99
    """Decay of the moving average of the weights that evaluation and `stylize` use, once it is warm. None: none."""


def load_data(config: Config) -> Dataset:
    """Patches of the pictures named by --data, and among the assets where the style is."""
    path = photo_of(DEFAULT_STYLE) if config.style is None else config.style
    if not config.resume:
        read_scaled(path, config.style_size)  # what cannot be read is refused before anything is written
    data = load_patches(config.data, size=config.image_size, test_fraction=config.test_fraction)
    return dataclasses.replace(data, assets={**data.assets, "style": str(path.resolve())})


def build_model(config: Config, assets: Mapping[str, Any]) -> GenerativeModel:
    """CycleGAN's ResNet: the paper's network but for 7x7 kernels in place of 9x9, and instance norm."""
    return Stylization(
        ResNetTranslator(3, config.width, blocks=config.blocks, bounded=not config.residual, residual=config.residual),
        style=style_from(Path(assets["style"]), config.style_size),
        weights=Weights(style=config.style_weight, smoothness=config.smoothness),
        optimizer=optax.adam(optax.cosine_decay_schedule(config.learning_rate, config.steps)),
        turn=config.turn,
        ema_decay=config.ema_decay,
    ).model()


def style_from(path: Path, size: int) -> Style:
    """The manner of a picture, by EfficientNet-Lite0.

    A run that goes on, or is opened, has it in its own checkpoint: then the picture may be gone.
    """
    variables, maps = efficientnet_maps()

    def grams(image: jax.Array) -> list[jax.Array]:
        return style_of(maps(variables, image))

    def load() -> dict[str, Any]:
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
        "quick": Config(
            steps=20, width=8, blocks=1, image_size=64, eval_every=10, sample_every=10, checkpoint_every=10
        ),
        "default": Config(),
        "full": Config(
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
