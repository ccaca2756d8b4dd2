"""The options of GPTs, and how they become a model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from jaxgen.core.errors import UserError
from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import Count, CountFromZero, Depth, NonNegativeFloat, Size
from jaxgen.data.vocabulary import vocabulary_of
from jaxgen.experiments._text import DTYPES, Dtype, TextConfig, build_text_model, network_config
from jaxgen.networks.gpt import GPT
from jaxgen.runs.hugging_face import gpt2_network

NANOGPT: dict[str, Any] = {"learning_rate": 1e-3, "positions": "learned", "norm": "layer", "feed_forward": "gelu"}
"""What nanoGPT has in place of the defaults here."""


@dataclass(frozen=True)
class GPTConfig(TextConfig):
    """Options of a GPT."""

    steps: Count = 2_000
    """How many training steps the run has in all."""
    batch_size: Count = 12
    """Examples per step, over all devices together."""
    learning_rate: NonNegativeFloat = 4e-3
    """Peak learning rate, reached after the warm-up."""
    layers: Depth = 4
    """Blocks."""
    heads: Size = 4
    """Heads of attention."""
    width: Size = 128
    """Of each position between the blocks."""
    key_value_heads: Size | None = None
    """Heads of keys and values, each shared by as many heads of queries. None: as many as --heads."""
    use_bias: bool = False
    """Whether products and layer norms have biases."""
    positions: Literal["learned", "rotary"] = "rotary"
    """How places are told apart."""
    norm: Literal["layer", "rms"] = "rms"
    """The norm before each half of a block."""
    feed_forward: Literal["gelu", "gelu_tanh", "swiglu"] = "swiglu"
    """The other half of a block."""
    dtype: Dtype = "float32"
    """What products are computed in; parameters are kept in float32."""
    remat: bool = False
    """Computes activations again for the gradient, rather than keeping them: less memory, more time."""
    eval_every: CountFromZero = 500
    """Steps between evaluations on the held-out examples. 0: only at the end."""
    sample_every: CountFromZero = 500
    """Steps between texts in samples/. 0: only at the end."""


def build_gpt(config: GPTConfig, assets: Mapping[str, Any]) -> GenerativeModel:
    """The network, with as many tokens as the vocabulary has."""
    return build_text_model(config, build_network(config, assets), assets)


def build_network(config: GPTConfig, assets: Mapping[str, Any]) -> GPT:
    """By the options, or by those of what it begins from."""
    own = {"dropout": config.dropout, "dtype": DTYPES[config.dtype], "remat": config.remat}
    sizes = network_config(config, assets, GPT)
    if assets["pretrained"] is not None and assets["pretrained"]["kind"] == "gpt2":
        network = gpt2_network(assets["pretrained"]["network"], **own)
    else:
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
