"""Encoders of texts: from tokens to one vector, or to a vector for each position."""

import functools
from typing import Literal

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from jaxgen.networks.gpt import Block
from jaxgen.networks.layers.embedding import look_up
from jaxgen.networks.recurrent import RecurrentLayer


class RecurrentEncoder(nn.Module):
    """Encoder of an embedding, one recurrent layer, a max pool over the text, and a projection.

    The maximum of each unit is taken rather than the last output, since this distinguishes texts that end in the same
    words (Long et al. 2019, arXiv:1911.03976).

    Attributes:
      num_outputs: M, the length of the vectors.
      vocabulary_size: K, the number of tokens.
      width: E, the width of the embedding and of the layer's state.
      kind: "lstm" or "gru".
    """

    num_outputs: int
    vocabulary_size: int
    width: int = 256
    kind: Literal["lstm", "gru"] = "lstm"

    @nn.compact
    def __call__(self, tokens: Array, mask: Array, *, train: bool) -> Array:
        """Map tokens int [B, T] and `mask` [B, T], nonzero on the text, which starts at position 0, to [B, M]."""
        del train
        table = self.param("embedding", nn.initializers.normal(0.1), (self.vocabulary_size, self.width), jnp.float32)
        outputs = RecurrentLayer(self.width, self.kind, name="layer")(look_up(table, tokens))
        pooled = jnp.max(jnp.where(mask[..., None] > 0, outputs, -1.0), axis=1)  # states lie above -1
        return nn.Dense(self.num_outputs, name="output")(pooled)


class TextTransformer(nn.Module):
    """An embedding, blocks of a `GPT` and a norm: a state for each position of a text.

    Attributes:
      vocabulary_size: K, the number of tokens.
      width: E, the width of the states.
      layers: number of blocks.
      heads: number of attention heads.
      context: number of learned positions; unused with rotary ones.
      positions, norm, feed_forward, use_bias: as in `GPT`.
      causal: whether a position attends only to itself and those before it, or to the whole text.
    """

    vocabulary_size: int
    width: int = 128
    layers: int = 2
    heads: int = 4
    context: int | None = None
    positions: Literal["learned", "rotary"] = "rotary"
    norm: Literal["layer", "rms"] = "rms"
    feed_forward: Literal["gelu", "gelu_tanh", "swiglu"] = "swiglu"
    use_bias: bool = False
    causal: bool = False

    @nn.compact
    def __call__(self, tokens: Array, inside: Array) -> Array:
        """Map tokens int [B, T], and `inside` bool [B, T], the positions attended to, to states [B, T, E]."""
        normal = nn.initializers.normal(0.02)
        x = look_up(self.param("embedding", normal, (self.vocabulary_size, self.width), jnp.float32), tokens)
        if self.positions == "learned":
            x = x + self.param("positions", normal, (self.context, self.width), jnp.float32)[: tokens.shape[1]]
        seen = inside[:, None, None]
        if self.causal:
            places = jnp.arange(tokens.shape[1])
            seen = seen & (places[:, None] >= places)
        for i in range(self.layers):
            block = Block(
                heads=self.heads,
                key_value_heads=self.heads,
                width=self.width,
                use_bias=self.use_bias,
                dropout=0.0,
                rotary=self.positions == "rotary",
                norm=self.norm,
                feed_forward=self.feed_forward,
                last_kernel_spread=0.02 / (2 * self.layers) ** 0.5,
                dtype=None,
                name=f"block_{i}",
            )
            x = block(x, None, seen)[0]
        norm = nn.RMSNorm if self.norm == "rms" else functools.partial(nn.LayerNorm, use_bias=self.use_bias)
        return norm(epsilon=1e-5, name="final_norm")(x)


class AttentionEncoder(nn.Module):
    """Encoder of a `TextTransformer` in which every position attends to the whole text, mean pooling and a projection.

    Attributes:
      num_outputs: M, the length of the vectors.
      vocabulary_size, width, layers, heads: as in `TextTransformer`.
    """

    num_outputs: int
    vocabulary_size: int
    width: int = 128
    layers: int = 2
    heads: int = 4

    @nn.compact
    def __call__(self, tokens: Array, mask: Array, *, train: bool) -> Array:
        """Map tokens int [B, T] and `mask` [B, T], as in `RecurrentEncoder`, to [B, M]."""
        del train
        body, inside = TextTransformer(self.vocabulary_size, self.width, self.layers, self.heads), mask > 0
        nn.share_scope(self, body)  # the parameters are this network's own, not a child's
        return nn.Dense(self.num_outputs, name="output")(mean_inside(body(tokens, inside), inside))


class CaptionEncoder(nn.Module):
    """Encoder of a caption to one vector: the pooled states of a `TextTransformer`, and a projection without bias.

    Attributes:
      num_outputs: M, the length of the vectors.
      transformer: the `TextTransformer` to pool.
      pooling: "mean": the mean over the caption; "last": the state of its last token, as in CLIP.
    """

    num_outputs: int
    transformer: TextTransformer
    pooling: Literal["mean", "last"] = "mean"

    @nn.compact
    def __call__(self, captions: Array, *, train: bool) -> Array:
        """Map tokens int [B, T], padded with 0, to [B, M]."""
        del train
        inside = caption_places(captions)
        states = self.transformer(captions, inside)
        if self.pooling == "mean":
            joined = mean_inside(states, inside)
        else:
            joined = jnp.take_along_axis(states, (jnp.sum(inside, 1) - 1)[:, None, None], axis=1)[:, 0]
        return nn.Dense(self.num_outputs, use_bias=False, name="output")(joined)


def caption_places(captions: Array) -> Array:
    """Return bool [B, T], the positions attended to in captions int [B, T] padded with 0.

    In an empty caption this is its first position: the embedding of padding then stands for no caption.
    """
    return (captions != 0) | (jnp.arange(captions.shape[1]) == 0)


def mean_inside(states: Array, inside: Array) -> Array:
    """Return the mean [B, E] of states [B, T, E] over the positions inside, bool [B, T]."""
    total = jnp.sum(states * inside[..., None], axis=1)
    return total / jnp.maximum(jnp.sum(inside, axis=1, keepdims=True), 1)
