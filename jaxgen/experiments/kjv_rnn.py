"""A recurrent network, LSTM or GRU, of the King James Bible, or of any text.

    python -m jaxgen.experiments.kjv_rnn
    python -m jaxgen.experiments.kjv_rnn --kind gru --data my.txt
    jaxgen sample runs/kjv_rnn/001 --prompt "In the beginning" --num-tokens 500

eval/autoregressive/loss is that of the held-out text, in nats per token (divide by ln 2 = 0.693 for bits).
"""

from dataclasses import dataclass
from typing import Literal

from jaxgen.core.model import GenerativeModel
from jaxgen.core.types import Assets
from jaxgen.data.vocabulary import vocabulary_of
from jaxgen.experiments._text import (
    QUICK,
    SequenceNetworkOptions,
    TextConfig,
    build_text_model,
    load_data,
    network_config,
)
from jaxgen.networks.recurrent import RecurrentNetwork
from jaxgen.runs.experiment import Experiment


@dataclass(frozen=True)
class RecurrentOptions(SequenceNetworkOptions):
    """A recurrent network."""

    kind: Literal["lstm", "gru"] = "lstm"
    """Kind of the layers: LSTM or GRU."""


@dataclass(frozen=True)
class Config(TextConfig):
    """Options of kjv_rnn."""

    network: RecurrentOptions = RecurrentOptions()


DEFAULT = Config().replace(
    steps=2_000, batch_size=32, layers=2, width=256, learning_rate=3e-3, eval_every=500, sample_every=500
)


def build_model(config: Config, assets: Assets) -> GenerativeModel:
    """Return the model of a recurrent network with the vocabulary's tokens."""
    sizes = network_config(config, assets, RecurrentNetwork).network
    network = RecurrentNetwork(vocabulary_of(assets).size, sizes.width, sizes.layers, sizes.kind, sizes.dropout)
    return build_text_model(config, network, assets)


EXPERIMENT = Experiment(
    file=__file__,
    family="autoregressive",
    summary="LSTM or GRU of text",
    data="kjv, --data ...",
    expected_time="7 min on 1 CPU core",
    presets={
        "quick": DEFAULT.replace(**QUICK, width=64),
        "default": DEFAULT,
        "full": DEFAULT.replace(steps=20_000, batch_size=64, context=256, width=1024, dropout=0.2, eval_every=1_000),
    },
    load_data=load_data,
    build_model=build_model,
)


if __name__ == "__main__":
    EXPERIMENT.main()
