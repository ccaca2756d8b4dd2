"""A GPT of the King James Bible, or of any text, by characters, bytes or pieces of words.

    python -m jaxgen.experiments.kjv_gpt
    python -m jaxgen.experiments.kjv_gpt --data my.txt --vocabulary bpe-2000
    python -m jaxgen.experiments.kjv_gpt --data my.txt --pretrained FOLDER --adapter-rank 8
    jaxgen sample runs/kjv_gpt/001 --prompt "In the beginning" --num-tokens 500

eval/autoregressive/loss is the mean over the whole held-out tenth of the text, in nats a token (divide by ln 2 = 0.693
for bits). The preset full is nanoGPT's setting for the complete works of Shakespeare, 10.6 million parameters.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from jaxgen.errors import UserError
from jaxgen.experiment import Experiment, run
from jaxgen.experiments._text import (
    DTYPES,
    Dtype,
    TextConfig,
    build_text_model,
    load_data,
    network_config,
    vocabulary_of,
)
from jaxgen.networks.gpt import GPT
from jaxgen.pretrained import gpt2_of
from jaxgen.training.config import check_at_least
from jaxgen.training.state import GenerativeModel


@dataclass(frozen=True)
class Config(TextConfig):
    """Options of kjv_gpt."""

    steps: int = 2_000
    """How many training steps the run has in all."""
    batch_size: int = 12
    """Examples per step, over all devices together."""
    layers: int = 4
    """Blocks."""
    heads: int = 4
    """Heads of attention."""
    width: int = 128
    """Of each position between the blocks."""
    key_value_heads: int | None = None
    """Heads of keys and values, each shared by as many heads of queries. None: as many as --heads."""
    use_bias: bool = False
    """Whether products and layer norms have biases."""
    positions: Literal["learned", "rotary"] = "learned"
    """How places are told apart."""
    norm: Literal["layer", "rms"] = "layer"
    """The norm before each half of a block."""
    feed_forward: Literal["gelu", "gelu_tanh", "swiglu"] = "gelu"
    """The other half of a block."""
    dtype: Dtype = "float32"
    """What products are computed in; parameters are kept in float32."""
    remat: bool = False
    """Computes activations again for the gradient, rather than keeping them: less memory, more time."""
    eval_every: int = 500
    """Steps between evaluations on the held-out examples. 0: only at the end."""
    sample_every: int = 500
    """Steps between texts in samples/. 0: only at the end."""


def build_model(config: Config, assets: Mapping[str, Any]) -> GenerativeModel:
    """The network, with as many tokens as the vocabulary has."""
    return build_text_model(config, build_network(config, assets), assets)


def build_network(config: Config, assets: Mapping[str, Any]) -> GPT:
    """By the options, or by those of what it begins from."""
    own = {"dropout": config.dropout, "dtype": DTYPES[config.dtype], "remat": config.remat}
    sizes = network_config(config, assets, EXPERIMENT.name)
    if assets["pretrained"] is not None and assets["pretrained"]["kind"] == "gpt2":
        network = gpt2_of(assets["pretrained"], **own)
    else:
        for name in ("layers", "heads", "width", "key_value_heads"):
            check_at_least(sizes, name, 1)
        if sizes.width % (2 * sizes.heads):
            raise UserError(f"--width {sizes.width} must be a multiple of twice --heads {sizes.heads}.")
        if sizes.key_value_heads is not None and sizes.heads % sizes.key_value_heads:
            raise UserError(f"--heads {sizes.heads} must be a multiple of --key-value-heads {sizes.key_value_heads}.")
        of_network = ("layers", "heads", "width", "key_value_heads", "use_bias", "positions", "norm", "feed_forward")
        options = {name: getattr(sizes, name) for name in of_network}
        network = GPT(vocabulary_of(assets).size, sizes.context, **options, **own)
    if config.context > network.context:
        raise UserError(
            f"--context {config.context} is more than the {network.context} tokens that --pretrained was made for."
        )
    return network


EXPERIMENT = Experiment(
    file=__file__,
    summary="GPT of text, by characters or pieces of words",
    data="kjv, --data ...",
    expected_time="not measured yet",
    presets={
        "quick": Config(steps=200, sample_every=100, checkpoint_every=100, log_every=20, warmup_steps=20),
        "default": Config(),
        "full": Config(
            steps=5_000,
            batch_size=64,
            context=256,
            layers=6,
            heads=6,
            width=384,
            dropout=0.2,
            eval_every=250,
        ),
    },
    load_data=load_data,
    build_model=build_model,
)


def main() -> None:
    sys.exit(run(EXPERIMENT))


if __name__ == "__main__":
    main()
