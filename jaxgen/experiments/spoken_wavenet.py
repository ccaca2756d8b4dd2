"""A WaveNet that speaks English numbers, letters and other words, given their spelling.

    python -m jaxgen.experiments.spoken_wavenet
    jaxgen sample runs/spoken_wavenet/001 --prompt seven eight --out seven.wav

The network predicts sound sample by sample, as 256 mu-law levels at 8 kHz. eval/autoregressive/bits is the mean over
the last 15% of each clip, given all before it; a linear predictor of order 16 that adapts to each clip needs 2.41 bits
there (jaxgen.metrics.linear_prediction_nats). With --output relative the network predicts only how the next sample
differs from such a linear prediction; it then predicts better, but its samples are less like speech. The default
--batch-size is small, since 600 steps of 2 clips reached as much as 400 of 8. The preset full is for an accelerator:
512 channels, three stacks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal, cast

import jax
import numpy as np

from jaxgen.core.model import GenerativeModel, Speech
from jaxgen.core.options import CountFromZero, Depth, Rate, Size, within
from jaxgen.core.types import Assets
from jaxgen.data import Dataset, mu_law
from jaxgen.data.spoken import load_spoken_windows, words_to_say
from jaxgen.experiments._adamw import AveragedAdamWOptions, optimizer_of
from jaxgen.experiments._scored import BEST_BY_LOSS
from jaxgen.models.autoregressive.outputs import (
    OutputDistribution,
    mixture_in_amplitudes,
    mixture_of_logistics,
    softmax,
)
from jaxgen.models.autoregressive.sequences import SequenceModel
from jaxgen.models.autoregressive.sound_augmentation import random_loudness
from jaxgen.networks.linear_prediction import LinearPredictor
from jaxgen.networks.wavenet import Spoken, WaveNet
from jaxgen.runs.experiment import Experiment
from jaxgen.training.config import TrainConfig

SHOWN = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


OUTPUTS = {
    "softmax": lambda components: softmax(),
    "mixture": mixture_of_logistics,
    "relative": mixture_in_amplitudes,
}
"""`components` -> the distribution of the next sample, by the names of --output."""


@dataclass(frozen=True)
class SpokenOptions:
    """The windows of clips to learn from, and the length of samples."""

    window: Annotated[int, *within(2, 10**7)] = 2048
    """Length of an example in samples of sound."""
    context: CountFromZero = 512
    """Minimum number of samples of sound that an example begins with as mere context, if the clip has as many
    before."""
    sample_length: Annotated[int, *within(1, 10**7)] = 8_000
    """Maximum length of each word in samples/, in samples of sound; a clip may be shorter."""


@dataclass(frozen=True)
class OutputOptions:
    """The distribution of the next sample."""

    output: Literal[tuple(OUTPUTS)] = "softmax"
    """Distribution of the next sample: softmax, a probability of each level; mixture, a mixture of logistics over the
    levels, for which the network also reads samples as numbers rather than by an embedding; or relative, such a mixture
    over the amplitude's distance from an adaptive linear prediction, relative to the current loudness."""
    components: Size = 4
    """Number of components of the mixture of logistics, for --output mixture or relative."""


@dataclass(frozen=True)
class WaveNetOptions:
    """A WaveNet: stacks of dilated convolutions with gated units."""

    width: Size = 32
    """Channels between the layers."""
    gate_width: Size = 32
    """Channels of the gated units."""
    skip_width: Size = 64
    """Channels of the sum over all layers."""
    stacks: Depth = 2
    """Number of stacks of layers with dilations 1, 2, 4, ..."""
    layers: Annotated[int, *within(1, 20)] = 10
    """Number of layers of a stack, with dilations 1, 2, 4, ..."""
    condition_width: Size = 16
    """Length of the vectors that represent a character and a word."""
    dropout: Rate = 0.05
    """Rate at which channels of the gated units, and words, are dropped in training."""


@dataclass(frozen=True)
class LoudnessOptions:
    """How training examples are changed at random."""

    other_loudness: Rate = 0.0
    """Probability that a training example has another loudness, from a twentieth to twice its own, and random sign."""


@dataclass(frozen=True)
class Config(TrainConfig):
    """Options of spoken_wavenet."""

    data: SpokenOptions = SpokenOptions()
    model: OutputOptions = OutputOptions()
    network: WaveNetOptions = WaveNetOptions()
    optimizer: AveragedAdamWOptions = AveragedAdamWOptions()
    augmentation: LoudnessOptions = LoudnessOptions()


DEFAULT = Config().replace(
    **BEST_BY_LOSS,
    steps=10_000,
    batch_size=2,
    learning_rate=2e-3,
    warmup_steps=200,
    weight_decay=0.01,
    eval_every=2_000,
    sample_every=2_000,
)


def load_data(config: Config) -> Dataset:
    """Load windows of all clips; those for testing follow all samples that the network can look back at."""
    data = config.data
    return load_spoken_windows(data.window, data.context, build_network(config, 1, 1).receptive_field)


def build_network(config: Config, num_classes: int, num_characters: int) -> WaveNet:
    """Return the network of these options."""
    output, sizes = config.model.output, config.network
    return WaveNet(
        num_outputs=output_of(config.model).num_parameters,
        width=sizes.width,
        gate_width=sizes.gate_width,
        skip_width=sizes.skip_width,
        dilations=tuple(2**i for i in range(sizes.layers)) * sizes.stacks,
        amplitudes=output == "mixture",
        predictor=LinearPredictor() if output == "relative" else None,
        num_classes=num_classes,
        num_characters=num_characters,
        condition_width=sizes.condition_width,
        dropout=sizes.dropout,
    )


def output_of(options: OutputOptions) -> OutputDistribution:
    """Return the distribution of the next sample."""
    return OUTPUTS[options.output](options.components)


def spoken(assets: Assets, texts: Sequence[str]) -> tuple[Spoken]:
    """Return the condition of samples in which these words are said."""
    return (Spoken(**cast(dict[str, jax.Array], words_to_say(assets, texts))),)


def spoken_in_turn(assets: Assets, num_samples: int) -> tuple[Spoken]:
    """Return the condition of samples of all words in turn, those of the sheets first."""
    in_turn = [*SHOWN, *(word for word in assets["words"] if word not in SHOWN)]
    return spoken(assets, [in_turn[i % len(in_turn)] for i in range(num_samples)])


def build_model(config: Config, assets: Assets) -> GenerativeModel:
    """Return the model of mu-law codes after silence, conditioned on spoken words, which samples take in turn."""
    sample_length, loudness = config.data.sample_length, config.augmentation.other_loudness

    def sample_lengths(num_samples: int) -> np.ndarray:
        return np.minimum(spoken_in_turn(assets, num_samples)[0].length, sample_length)

    sequences = SequenceModel(
        build_network(config, len(assets["words"]), len(assets["characters"])),
        output=output_of(config.model),
        condition_of=lambda batch: (Spoken(*(batch[name] for name in Spoken._fields)),),
        conditions=partial(spoken_in_turn, assets),
        optimizer=optimizer_of(config.optimizer, config.run),
        first_token=mu_law.SILENCE,
        sample_length=sample_length,
        ema_decay=config.optimizer.ema_decay,
        micro_batches=config.optimizer.micro_batches,
        report_bits=True,
        augment=random_loudness(loudness) if loudness else None,
    )
    return sequences.model()._replace(speech=Speech(partial(spoken, assets), sample_lengths))


EXPERIMENT = Experiment(
    file=__file__,
    family="autoregressive",
    summary="WaveNet of spoken words, by their spelling",
    data="spoken",
    expected_time="16 min on 1 CPU core",
    presets={
        "quick": DEFAULT.replace(
            steps=200,
            width=16,
            gate_width=16,
            skip_width=32,
            stacks=1,
            log_every=20,
            warmup_steps=20,
            eval_every=100,
            sample_every=200,
            checkpoint_every=100,
        ),
        "default": DEFAULT,
        "full": DEFAULT.replace(
            steps=20_000,
            batch_size=32,
            window=7_680,
            context=2_048,
            output="mixture",
            components=10,
            width=512,
            gate_width=256,
            skip_width=256,
            stacks=3,
            condition_width=64,
            dropout=0.2,
            learning_rate=2e-4,
            min_learning_rate=1e-5,
            ema_decay=0.999,
        ),
    },
    load_data=load_data,
    build_model=build_model,
)


if __name__ == "__main__":
    EXPERIMENT.main()
