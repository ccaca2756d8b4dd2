"""A small convolutional classifier of MNIST digits: what judges the samples of the other experiments.

    python -m jaxgen.experiments.mnist_classifier

reaches 99.5 % test accuracy; `eval/classifier/accuracy` is the figure on the 10,000 test images. An epoch
is 469 steps.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import optax

from jaxgen.core.errors import UserError
from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import Count, PositiveFloat, Rate
from jaxgen.core.types import Assets
from jaxgen.data import Dataset, load
from jaxgen.data.subset import joined
from jaxgen.experiments._distortion import DistortionOptions
from jaxgen.experiments._subset import SubsetOptions, load_subset
from jaxgen.models.classifier import Classifier
from jaxgen.networks.classifier import ConvClassifier
from jaxgen.runs.experiment import Experiment
from jaxgen.training.config import TrainConfig


@dataclass(frozen=True)
class DataOptions(SubsetOptions):
    """Which of the training images are learned from, and generated ones beside them."""

    generated: Path | None = None
    """Train also on these labeled images (a .npz file of jaxgen augment); the real ones then are half of all."""
    only_generated: bool = False
    """Train on --generated alone."""


@dataclass(frozen=True)
class ClassifierOptions:
    """What the network is trained on."""

    label_smoothing: Rate = 0.0
    """How much of each label's weight is spread over all classes; above 0 it caps the confidence in plain digits."""


@dataclass(frozen=True)
class OptimizerOptions:
    """Adam, and the average of the weights."""

    learning_rate: PositiveFloat = 2e-3
    """Adam's largest learning rate; it falls to zero along a cosine."""
    decay_steps: Count = 4_690
    """Over how many steps the learning rate falls to zero (a run with more --steps stands still after them)."""
    ema_decay: Rate = 0.998
    """Decay of the moving average of the weights that evaluation and classification use, once it is warm."""


@dataclass(frozen=True)
class Config(TrainConfig):
    """Options of mnist_classifier."""

    data: DataOptions = DataOptions()
    model: ClassifierOptions = ClassifierOptions()
    optimizer: OptimizerOptions = OptimizerOptions()
    augmentation: DistortionOptions = DistortionOptions()


DEFAULT = Config().replace(steps=4_690, steps_per_dispatch=10)


def load_data(config: Config) -> Dataset:
    """Load MNIST, or the part of it that is asked for, with or without generated images."""
    options = config.data
    if options.only_generated and options.generated is None:
        raise UserError("--only-generated needs --generated FILE.npz.")
    data = load_subset(options, config.run)
    if options.generated is None:
        return data
    generated = load(str(options.generated))
    both = joined(data, generated)
    return dataclasses.replace(both, train=generated.train) if options.only_generated else both


def build_model(config: Config, assets: Assets) -> GenerativeModel:
    """Return a `Classifier` with a small convolutional network."""
    optimizer = config.optimizer
    return Classifier(
        ConvClassifier(num_classes=len(assets["class_names"])),
        optimizer=optax.adam(optax.cosine_decay_schedule(optimizer.learning_rate, optimizer.decay_steps)),
        **dataclasses.asdict(config.augmentation),
        label_smoothing=config.model.label_smoothing,
        ema_decay=optimizer.ema_decay,
    ).model()


EXPERIMENT = Experiment(
    file=__file__,
    family="classification",
    summary="convolutional classifier",
    data="MNIST",
    expected_time="10 min on 2 CPU cores",
    presets={
        "quick": DEFAULT.replace(steps=469, decay_steps=469, checkpoint_every=0),
        "default": DEFAULT,
        "full": DEFAULT.replace(steps=14_070, decay_steps=14_070),
    },
    load_data=load_data,
    build_model=build_model,
)


if __name__ == "__main__":
    EXPERIMENT.main()
