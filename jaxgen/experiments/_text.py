"""The options that experiments with texts have, and how they become a model."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import flax.linen as nn
import jax.numpy as jnp

from jaxgen.core.errors import UserError
from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import Rate, Size, Text, within
from jaxgen.data import Dataset
from jaxgen.data.lines import load_lines
from jaxgen.data.text import load_text
from jaxgen.data.vocabulary import Vocabulary, vocabulary_from_json, vocabulary_of
from jaxgen.experiments._adamw import AdamWConfig, optimizer_of
from jaxgen.models.autoregressive.sequences import SequenceModel
from jaxgen.runs.pretrained import describe_pretrained, pretrained_params
from jaxgen.training import run_folder
from jaxgen.training.config import config_from_json

Dtype = Literal["float32", "bfloat16"]
DTYPES = {"float32": None, "bfloat16": jnp.bfloat16}


@dataclass(frozen=True)
class TextDataConfig(AdamWConfig):
    """Options of whatever is trained on text."""

    data: Text = "kjv"
    """The text: kjv, the path of a file (UTF-8), or a set of tensorflow-datasets with texts (tiny_shakespeare)."""
    data_dir: Path | None = None
    """Where tensorflow-datasets finds prepared sets."""
    vocabulary: Text = "characters"
    """What a token is: characters (those of the text), bytes, bpe-SIZE (pieces of words, learned from the text, such as
    bpe-2000) or the path of a tokenizer.json."""
    context: Annotated[int, *within(2, 2**20)] = 64
    """Tokens that an example predicts, and that a GPT can look back to."""
    dropout: Rate = 0.0
    """Rate of dropout."""
    sample_length: Annotated[int, *within(1, 10**7)] = 400
    """Tokens of each text in samples/."""


@dataclass(frozen=True)
class TextConfig(TextDataConfig):
    """Options of an autoregressive model of text."""

    examples: Literal["windows", "lines"] = "windows"
    """What an example is: the next tokens of the text, wherever they begin, or a line of it."""
    pretrained: Path | None = None
    """Begin from the network and the vocabulary of a run with the same kind of network, or of a folder that holds a
    GPT-2 of transformers; options of the network's sizes are then those of that."""
    adapter_rank: Size | None = None
    """With --pretrained: train only low-rank adapters of this rank (LoRA) beside its kernels. None: train all of it."""


def load_data(config: TextConfig) -> Dataset:
    """The text in examples of `context` tokens to predict; among its assets what the run begins from."""
    described, vocabulary = None, config.vocabulary
    if config.pretrained is not None:
        if config.resume:  # with what the run began from, whatever became of it since
            described, known = (run_folder.kept_asset(config.run_dir, name) for name in ("pretrained", "vocabulary"))
        else:
            described, known = describe_pretrained(config.pretrained)
        vocabulary = vocabulary_from_json(known)
    load = {"windows": load_text, "lines": load_lines}[config.examples]
    data = load(config.data, sequence_length=config.context, vocabulary=vocabulary, data_dir=config.data_dir)
    return dataclasses.replace(data, assets={**data.assets, "pretrained": described})


def network_config(config: TextConfig, assets: Mapping[str, Any], network: type[nn.Module]) -> TextConfig:
    """The options that a network is built by: those of the run that it begins from, if it begins from one.

    Raises:
      UserError: that is a run of another network, or adapters without anything to adapt.
    """
    described = assets["pretrained"]
    if described is None:
        if config.adapter_rank is not None:
            raise UserError("--adapter-rank needs --pretrained FOLDER: what the adapters are put beside.")
        return config
    if described["class"] != network.__name__:
        raise UserError(
            f"--pretrained is a {described['class']}, but this is a {network.__name__}: name one of its kind."
        )
    if described["kind"] == "gpt2":
        return config
    old = config_from_json(type(config), described["network"], "the pretrained run's record")
    return dataclasses.replace(old, dropout=config.dropout)


def build_text_model(config: TextConfig, network: nn.Module, assets: Mapping[str, Any]) -> GenerativeModel:
    """Return the model of a network, with the optimizer of the options and the weights it begins from."""
    described = assets["pretrained"]
    return SequenceModel(
        network,
        pretrained=None if described is None else pretrained_params(described, config.pretrained, network),
        adapter_rank=config.adapter_rank,
        optimizer=optimizer_of(config),
        first_token=first_token(vocabulary_of(assets)),
        sample_length=config.sample_length,
        micro_batches=config.micro_batches,
    ).model()


def first_token(vocabulary: Vocabulary) -> int:
    """Return what samples without a prompt follow: a line end, if the vocabulary has one."""
    try:
        return int(vocabulary.encode("\n")[0])
    except (UserError, IndexError):
        return 0
