"""Encoders of texts: from tokens to one vector, or to one for each place."""

import functools
from typing import Literal

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from jaxgen.networks.gpt import Block
from jaxgen.networks.layers.embedding import look_up
from jaxgen.networks.recurrent import RecurrentLayer


class RecurrentEncoder(nn.Module):
    """An embedding, one recurrent layer, the largest output of each unit over the text, and a product.

    The largest rather than the last output, since texts whose last words are alike are then told apart (Long et al.
    2019, arXiv:1911.03976).

    Attributes:
      num_outputs: M.
      vocabulary_size: K.
      width: E, of the embedding and of the layer's state.
      kind: "lstm" or "gru".
    """

    num_outputs: int
    vocabulary_size: int
    width: int = 256
    kind: Literal["lstm", "gru"] = "lstm"

    @nn.compact
    def __call__(self, tokens: Array, mask: Array, *, train: bool) -> Array:
        """Tokens int [B, T], `mask` [B, T] not 0 where there is text, from the first place on -> [B, M]."""
        del train
        table = self.param("embedding", nn.initializers.normal(0.1), (self.vocabulary_size, self.width), jnp.float32)
        outputs = RecurrentLayer(self.width, self.kind, name="layer")(look_up(table, tokens))
        pooled = jnp.max(jnp.where(mask[..., None] > 0, outputs, -1.0), axis=1)  # states lie above -1
        return nn.Dense(self.num_outputs, name="output")(pooled)


class TextTransformer(nn.Module):
    """An embedding, blocks of a `GPT` and a norm: a state for each place of a text.

    Attributes:
      vocabulary_size: K.
      width: E.
      layers: blocks.
      heads: of attention.
      context: with learned positions, how many there are.
      positions, norm, feed_forward, use_bias: as of `GPT`.
      causal: whether a place looks at those up to it, or at the whole text.
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
        """Tokens int [B, T], `inside` bool [B, T]: which places are looked at -> [B, T, E]."""
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
    """A `TextTransformer` in which every place looks at the whole text, the mean of its states, and a product.

    Attributes:
      num_outputs: M.
      vocabulary_size, width, layers, heads: as of `TextTransformer`.
    """

    num_outputs: int
    vocabulary_size: int
    width: int = 128
    layers: int = 2
    heads: int = 4

    @nn.compact
    def __call__(self, tokens: Array, mask: Array, *, train: bool) -> Array:
        """As `RecurrentEncoder`."""
        del train
        body, inside = TextTransformer(self.vocabulary_size, self.width, self.layers, self.heads), mask > 0
        nn.share_scope(self, body)  # the parameters are this network's own, not a child's
        return nn.Dense(self.num_outputs, name="output")(mean_inside(body(tokens, inside), inside))


class CaptionEncoder(nn.Module):
    """A caption as one vector: the states of a `TextTransformer`, joined, and a product without bias.

    Attributes:
      num_outputs: M.
      transformer: its body.
      pooling: "mean": the mean over the caption; "last": the state of its last token, as CLIP takes it.
    """

    num_outputs: int
    transformer: TextTransformer
    pooling: Literal["mean", "last"] = "mean"

    @nn.compact
    def __call__(self, captions: Array, *, train: bool) -> Array:
        """Tokens int [B, T], padded with 0 -> [B, M]."""
        del train
        inside = caption_places(captions)
        states = self.transformer(captions, inside)
        if self.pooling == "mean":
            joined = mean_inside(states, inside)
        else:
            joined = jnp.take_along_axis(states, (jnp.sum(inside, 1) - 1)[:, None, None], axis=1)[:, 0]
        return nn.Dense(self.num_outputs, use_bias=False, name="output")(joined)


def caption_places(captions: Array) -> Array:
    """bool [B, T]: where captions int [B, T], padded with 0, are looked at.

    Of an empty caption that is its first place: the embedding of padding then stands for no caption.
    """
    return (captions != 0) | (jnp.arange(captions.shape[1]) == 0)


def mean_inside(states: Array, inside: Array) -> Array:
    """The mean of states [B, T, E] over the places inside, bool [B, T]: [B, E]."""
    total = jnp.sum(states * inside[..., None], axis=1)
    return total / jnp.maximum(jnp.sum(inside, axis=1, keepdims=True), 1)
