"""Options and loading of texts, shared by experiments, and models of text built from a network."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import flax.linen as nn

from jaxgen.core.errors import UserError
from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import Depth, Rate, Size, Text, within
from jaxgen.core.types import Assets, Json, present
from jaxgen.data import Dataset
from jaxgen.data.lines import load_lines
from jaxgen.data.text import load_text
from jaxgen.data.vocabulary import Vocabulary, vocabulary_from_json, vocabulary_of
from jaxgen.experiments._adamw import AdamWOptions, optimizer_of
from jaxgen.models.autoregressive.sequences import SequenceModel
from jaxgen.runs.pretrained import describe_pretrained, pretrained_params
from jaxgen.training import run_folder
from jaxgen.training.config import RunOptions, TrainConfig, config_from_json

EXAMPLES = {"windows": load_text, "lines": load_lines}
"""The function that loads a text, by the kind of its examples."""
QUICK = {"steps": 200, "sample_every": 100, "checkpoint_every": 100, "log_every": 20, "warmup_steps": 20}
"""Values of the preset quick."""


@dataclass(frozen=True)
class TextDataOptions:
    """The text to learn from, its tokens, and how long examples and samples are."""

    data: Text = "kjv"
    """The text: kjv, ryans_mammoth (tunes), the path of a file (UTF-8), or a set of tensorflow-datasets with texts
    (tiny_shakespeare)."""
    data_dir: Path | None = None
    """Folder with the prepared sets of tensorflow-datasets. None: its own default."""
    vocabulary: Text = "characters"
    """Tokens: characters (those of the text), bytes, bpe-SIZE (pieces of words, learned from the text, such as
    bpe-2000), or the path of a tokenizer.json."""
    context: Annotated[int, *within(2, 2**20)] = 64
    """Number of tokens of an example (maximum for a line), and the number that a transformer can look back at."""
    sample_length: Annotated[int, *within(1, 10**7)] = 400
    """Number of tokens of each text in samples/ (maximum for a line)."""


@dataclass(frozen=True)
class TextExamplesOptions(TextDataOptions):
    """The text to learn from, its tokens, the kind of its examples, and how long examples and samples are."""

    examples: Literal[tuple(EXAMPLES)] = "windows"
    """Kind of examples: windows of the text, wherever they begin, or its lines."""


@dataclass(frozen=True)
class SequenceNetworkOptions:
    """A network of sequences."""

    layers: Depth = 4
    """Number of layers of the network (of blocks for a transformer)."""
    width: Size = 128
    """Width of the embeddings and of each layer."""
    dropout: Rate = 0.0
    """Dropout rate."""


@dataclass(frozen=True)
class InitializationOptions:
    """The initial weights."""

    pretrained: Path | None = None
    """Begin from a run with the same kind of network, or from a folder with a GPT-2 of transformers: from its weights,
    vocabulary and sizes, which override the options of the network."""
    adapter_rank: Size | None = None
    """Rank of adapters (LoRA) that are trained instead of the weights of --pretrained. None: train all weights."""


@dataclass(frozen=True)
class TextConfig(TrainConfig):
    """Options of an autoregressive model of text."""

    data: TextExamplesOptions = TextExamplesOptions()
    network: SequenceNetworkOptions = SequenceNetworkOptions()
    optimizer: AdamWOptions = AdamWOptions()
    initialization: InitializationOptions = InitializationOptions()


Config = TypeVar("Config", bound=TextConfig)


def load_data(config: TextConfig) -> Dataset:
    """Load the text in examples of `context` tokens to predict; its assets describe the pretrained network, if any."""
    described, vocabulary = described_start(config.initialization, config.run)
    data = load_examples(config.data, config.data.examples, vocabulary)
    return dataclasses.replace(data, assets={**data.assets, "pretrained": described})


def load_examples(options: TextDataOptions, examples: str, vocabulary: Vocabulary | None = None) -> Dataset:
    """Load the text named by --data.

    Args:
      examples: a name in `EXAMPLES`.
      vocabulary: the vocabulary; None: the one named by --vocabulary.
    """
    return EXAMPLES[examples](
        options.data,
        sequence_length=options.context,
        vocabulary=options.vocabulary if vocabulary is None else vocabulary,
        data_dir=options.data_dir,
    )


def described_start(options: InitializationOptions, run: RunOptions) -> tuple[Json | None, Vocabulary | None]:
    """Return the description of the pretrained network and its vocabulary; both are None without --pretrained."""
    if options.pretrained is None:
        return None, None
    if run.resume:  # the description that the run recorded, even if the folder has changed since
        described, known = (run_folder.kept_asset(present(run.run_dir), name) for name in ("pretrained", "vocabulary"))
    else:
        described, known = describe_pretrained(options.pretrained)
    return described, vocabulary_from_json(known)


def network_config(config: Config, assets: Assets, network: type[nn.Module]) -> Config:
    """Return the options that a network is built from: those of the pretrained run, if there is one.

    Raises:
      UserError: the pretrained run has another network, or adapters have no weights to adapt.
    """
    described = assets["pretrained"]
    if described is None:
        if config.initialization.adapter_rank is not None:
            raise UserError("--adapter-rank needs --pretrained FOLDER, whose weights the adapters change.")
        return config
    if described["class"] != network.__name__:
        raise UserError(
            f"--pretrained is a {described['class']}, but this is a {network.__name__}: name one of its kind."
        )
    if described["kind"] == "gpt2":
        return config
    old = config_from_json(type(config)(), described["network"], "the pretrained run's record")
    return old.replace(dropout=config.network.dropout)


def build_text_model(config: TextConfig, network: nn.Module, assets: Assets) -> GenerativeModel:
    """Return the model of a network, with the optimizer of the options and the pretrained weights, if any."""
    described, begins_from = assets["pretrained"], config.initialization
    return SequenceModel(
        network,
        pretrained=None
        if described is None
        else pretrained_params(described, present(begins_from.pretrained), network),
        adapter_rank=begins_from.adapter_rank,
        optimizer=optimizer_of(config.optimizer, config.run),
        first_token=first_token(vocabulary_of(assets)),
        sample_length=config.data.sample_length,
        micro_batches=config.optimizer.micro_batches,
    ).model()


def first_token(vocabulary: Vocabulary) -> int:
    """Return the token that samples without a prompt follow: a line end, if the vocabulary has one."""
    try:
        return int(vocabulary.encode("\n")[0])
    except (UserError, IndexError):
        return 0
