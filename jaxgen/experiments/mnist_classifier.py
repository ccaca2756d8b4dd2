"""A small convolutional classifier of MNIST digits, which judges the samples of the other experiments.

    python -m jaxgen.experiments.mnist_classifier

It reaches 99.5 % test accuracy; eval/classifier/accuracy is the figure on the 10,000 test images. An epoch is 469
steps.
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
    """The training images to learn from, and generated ones beside them."""

    generated: Path | None = None
    """File of labeled images (.npz, of jaxgen augment) to train on too; real ones are repeated to be at least half of
    all."""
    only_generated: bool = False
    """Train on --generated alone."""


@dataclass(frozen=True)
class ClassifierOptions:
    """The loss of the network."""

    label_smoothing: Rate = 0.0
    """Fraction of each label's weight that is spread over all classes; above 0 it limits the confidence in clear
    digits."""


@dataclass(frozen=True)
class OptimizerOptions:
    """Adam, and the average of the weights."""

    learning_rate: PositiveFloat = 2e-3
    """Adam's initial learning rate, which falls to 0 along a cosine."""
    decay_steps: Count = 4_690
    """Number of steps over which the learning rate falls to 0 (a run with more --steps learns nothing after them)."""
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
    """Load MNIST, or the requested part of it, with or without generated images."""
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
