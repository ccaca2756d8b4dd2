"""Autoregressive models: -log p(x) = -sum_i log p(x_i | x_1, ..., x_{i-1}).

Three principles, each a module with a spec and its functions `init`, `train_step`, `eval_step`, `sample`, `model`:

- `grids`: `AutoregressiveGrid`, grids of tokens such as pixels or the codes of a first stage;
- `sequences`: `SequenceModel`, text and sound, drawn token by token over a network's cache;
- `dall_e`: `DALLE`, one transformer over a caption and the codes of its image.

Beside them are `decoding` (the loop that draws tokens), `outputs` (distributions of the next token), `low_rank`
(adapters) and `sound_augmentation`.
"""

from jaxgen.models.autoregressive import dall_e, decoding, grids, low_rank, outputs, sequences, sound_augmentation
from jaxgen.models.autoregressive.dall_e import DALLE, Layout
from jaxgen.models.autoregressive.decoding import Decoder, DecodeState, SamplingParams
from jaxgen.models.autoregressive.grids import AutoregressiveGrid, Tokenizer, binary_pixels
from jaxgen.models.autoregressive.outputs import (
    OutputDistribution,
    mixture_in_amplitudes,
    mixture_of_logistics,
    softmax,
)
from jaxgen.models.autoregressive.sequences import SequenceModel
from jaxgen.models.autoregressive.sound_augmentation import random_loudness

__all__ = [
    "DALLE",
    "AutoregressiveGrid",
    "DecodeState",
    "Decoder",
    "Layout",
    "OutputDistribution",
    "SamplingParams",
    "SequenceModel",
    "Tokenizer",
    "binary_pixels",
    "dall_e",
    "decoding",
    "grids",
    "low_rank",
    "mixture_in_amplitudes",
    "mixture_of_logistics",
    "outputs",
    "random_loudness",
    "sequences",
    "softmax",
    "sound_augmentation",
]
