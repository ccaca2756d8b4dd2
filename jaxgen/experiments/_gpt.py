"""Options of GPTs, shared by experiments, and the model built from them."""

from dataclasses import dataclass
from typing import Any, Literal

import jax.numpy as jnp

from jaxgen.core.errors import UserError
from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import Size
from jaxgen.core.types import Assets
from jaxgen.data.vocabulary import vocabulary_of
from jaxgen.experiments._text import SequenceNetworkOptions, TextConfig, build_text_model, network_config
from jaxgen.networks.gpt import GPT
from jaxgen.runs.hugging_face import gpt2_network

DTYPES = {"float32": None, "bfloat16": jnp.bfloat16}
NANOGPT: dict[str, Any] = {"learning_rate": 1e-3, "positions": "learned", "norm": "layer", "feed_forward": "gelu"}
"""Values of nanoGPT in place of the defaults here."""


@dataclass(frozen=True)
class TransformerOptions(SequenceNetworkOptions):
    """A transformer of pre-norm blocks."""

    heads: Size = 4
    """Number of heads of attention in each block."""
    norm: Literal["layer", "rms"] = "rms"
    """Kind of the norms before attention and before the feed-forward part."""
    feed_forward: Literal["gelu", "gelu_tanh", "swiglu"] = "swiglu"
    """Activation of the feed-forward part: GELU, its approximation by tanh, or the gated SwiGLU."""
    use_bias: bool = False
    """Whether linear layers and layer norms have biases."""
    dtype: Literal[tuple(DTYPES)] = "float32"
    """Type in which matrix products are computed; parameters are kept in float32."""
    remat: bool = False
    """Recompute activations for the gradient rather than keep them, which takes less memory and more time."""


@dataclass(frozen=True)
class GPTOptions(TransformerOptions):
    """A GPT: a transformer of pre-norm blocks with causal attention."""

    key_value_heads: Size | None = None
    """Number of heads of keys and values, each shared by equally many heads of queries. None: that of --heads."""
    positions: Literal["learned", "rotary"] = "rotary"
    """Kind of position embeddings: learned for each position, or rotary (in queries and keys)."""


@dataclass(frozen=True)
class GPTConfig(TextConfig):
    """Options of a GPT."""

    network: GPTOptions = GPTOptions()


SMALL_GPT = GPTConfig().replace(steps=2_000, batch_size=12, learning_rate=4e-3, eval_every=500, sample_every=500)
"""A GPT that learns within minutes on a CPU."""


def build_gpt(config: GPTConfig, assets: Assets) -> GenerativeModel:
    """Return the model of a GPT with the vocabulary's tokens."""
    return build_text_model(config, build_network(config, assets), assets)


def build_network(config: GPTConfig, assets: Assets) -> GPT:
    """Return the network of these options, or that of the run or GPT-2 of --pretrained.

    Raises:
      UserError: heads that do not fit the width, or a longer context than that of the pretrained network.
    """
    given = config.network
    own = {"dropout": given.dropout, "dtype": DTYPES[given.dtype], "remat": given.remat}
    built_by = network_config(config, assets, GPT)
    if assets["pretrained"] is not None and assets["pretrained"]["kind"] == "gpt2":
        network = gpt2_network(assets["pretrained"]["network"], **own)
    else:
        sizes = built_by.network
        if sizes.width % (2 * sizes.heads):
            raise UserError(f"--width {sizes.width} must be a multiple of twice --heads {sizes.heads}.")
        if sizes.key_value_heads is not None and sizes.heads % sizes.key_value_heads:
            raise UserError(f"--heads {sizes.heads} must be a multiple of --key-value-heads {sizes.key_value_heads}.")
        of_network = ("layers", "heads", "width", "key_value_heads", "use_bias", "positions", "norm", "feed_forward")
        options = {name: getattr(sizes, name) for name in of_network}
        network = GPT(vocabulary_of(assets).size, built_by.data.context, **options, **own)
    if config.data.context > network.context:
        raise UserError(
            f"--context {config.data.context} is more than the {network.context} tokens that --pretrained was made for."
        )
    return network
