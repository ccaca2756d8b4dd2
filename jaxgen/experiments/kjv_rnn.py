"""A recurrent network, LSTM or GRU, of the King James Bible, or of any text.

python -m jaxgen.experiments.kjv_rnn
python -m jaxgen.experiments.kjv_rnn --kind gru --data my.txt
jaxgen sample runs/kjv_rnn/001 --prompt "In the beginning" --num-tokens 500
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import Count, CountFromZero, Depth, PositiveFloat, Size
from jaxgen.data.vocabulary import vocabulary_of
from jaxgen.experiments._text import TextConfig, build_text_model, load_data, network_config
from jaxgen.networks.recurrent import RecurrentNetwork
from jaxgen.runs.experiment import Experiment


@dataclass(frozen=True)
class Config(TextConfig):
    """Options of kjv_rnn."""

    steps: Count = 2_000
    """How many training steps the run has in all."""
    batch_size: Count = 32
    """Examples per step, over all devices together."""
    kind: Literal["lstm", "gru"] = "lstm"
    """The layers."""
    layers: Depth = 2
    """How many."""
    width: Size = 256
    """Of the embedding and of each layer."""
    learning_rate: PositiveFloat = 3e-3
    """Peak learning rate, reached after the warm-up."""
    eval_every: CountFromZero = 500
    """Steps between evaluations on the held-out examples. 0: only at the end."""
    sample_every: CountFromZero = 500
    """Steps between texts in samples/. 0: only at the end."""


def build_model(config: Config, assets: Mapping[str, Any]) -> GenerativeModel:
    """The network, with as many tokens as the vocabulary has."""
    sizes = network_config(config, assets, RecurrentNetwork)
    network = RecurrentNetwork(vocabulary_of(assets).size, sizes.width, sizes.layers, sizes.kind, sizes.dropout)
    return build_text_model(config, network, assets)


EXPERIMENT = Experiment(
    file=__file__,
    family="autoregressive",
    summary="LSTM or GRU of text",
    data="kjv, --data ...",
    expected_time="7 min on 1 CPU core",
    presets={
        "quick": Config(steps=200, width=64, sample_every=100, checkpoint_every=100, log_every=20, warmup_steps=20),
        "default": Config(),
        "full": Config(steps=20_000, batch_size=64, context=256, width=1024, dropout=0.2, eval_every=1_000),
    },
    load_data=load_data,
    build_model=build_model,
)


if __name__ == "__main__":
    EXPERIMENT.main()
