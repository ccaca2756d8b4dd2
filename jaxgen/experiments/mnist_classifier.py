"""A small convolutional classifier of MNIST digits: what judges the samples of the other experiments.

    python -m jaxgen.experiments.mnist_classifier

reaches 99.5 % test accuracy; `eval/classifier/accuracy` is the figure on the 10,000 test images.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import optax

from jaxgen.core.errors import UserError
from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import Count, PositiveFloat, Rate, within
from jaxgen.data import Dataset, load
from jaxgen.data.subset import few_per_class, joined
from jaxgen.models.classifier import Classifier
from jaxgen.networks.classifier import ConvClassifier
from jaxgen.runs.experiment import Experiment
from jaxgen.training.config import TrainConfig


@dataclass(frozen=True)
class Config(TrainConfig):
    """Options of mnist_classifier."""

    steps: Count = 4_690
    """How many training steps the run has in all (469 are one epoch of MNIST)."""
    steps_per_dispatch: Count = 10
    """Steps run on the device between two returns to Python (results do not depend on it)."""
    learning_rate: PositiveFloat = 2e-3
    """Adam's largest learning rate; it falls to zero along a cosine."""
    decay_steps: Count = 4_690
    """Over how many steps the learning rate falls to zero (a run with more --steps stands still after them)."""
    shift: Annotated[int, *within(0, 1000)] = 2
    """Shift training images by up to this many pixels."""
    degrees: Annotated[float, *within(0, 360)] = 0.0
    """Rotate training images by up to this many degrees."""
    scale: Rate = 0.0
    """Scale training images up or down by up to this fraction."""
    per_class: Count | None = None
    """Train on this many images of each class only, chosen by --seed. None: all."""
    generated: Path | None = None
    """Train also on these labeled images (a .npz file of jaxgen augment); the real ones then are half of all."""
    only_generated: bool = False
    """Train on --generated alone."""
    label_smoothing: Rate = 0.0
    """How much of each label's weight is spread over all classes; above 0 it caps the confidence in plain digits."""
    ema_decay: Rate = 0.998
    """Decay of the moving average of the weights that classifies."""


def load_data(config: Config) -> Dataset:
    """MNIST, or the part of it that is asked for, with or without generated images."""
    data = load("mnist")
    if config.only_generated and config.generated is None:
        raise UserError("--only-generated needs --generated FILE.npz.")
    if config.per_class is not None:
        data = few_per_class(data, config.per_class, seed=config.seed)
    if config.generated is None:
        return data
    generated = load(str(config.generated))
    both = joined(data, generated)
    return dataclasses.replace(both, train=generated.train) if config.only_generated else both


def build_model(config: Config, assets: Mapping[str, Any]) -> GenerativeModel:
    return Classifier(
        ConvClassifier(num_classes=len(assets["class_names"])),
        optimizer=optax.adam(optax.cosine_decay_schedule(config.learning_rate, config.decay_steps)),
        shift=config.shift,
        degrees=config.degrees,
        scale=config.scale,
        label_smoothing=config.label_smoothing,
        ema_decay=config.ema_decay,
    ).model()


EXPERIMENT = Experiment(
    file=__file__,
    family="classification",
    summary="convolutional classifier",
    data="MNIST",
    expected_time="10 min on 2 CPU cores",
    presets={
        "quick": Config(steps=469, decay_steps=469, checkpoint_every=0),
        "default": Config(),
        "full": Config(steps=14_070, decay_steps=14_070),
    },
    load_data=load_data,
    build_model=build_model,
)


if __name__ == "__main__":
    EXPERIMENT.main()
