"""Encoders of texts: from tokens to one vector."""

from typing import Literal

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from jaxgen.networks.embedding import look_up
from jaxgen.networks.gpt import Block
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


class AttentionEncoder(nn.Module):
    """An embedding, blocks of a `GPT` in which every place looks at the whole text, their mean, and a product.

    With rotary positions, RMS norms and SwiGLU (see `GPT`).

    Attributes:
      num_outputs: M.
      vocabulary_size: K.
      width: E.
      layers: blocks.
      heads: of attention.
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
        table = self.param("embedding", nn.initializers.normal(0.02), (self.vocabulary_size, self.width), jnp.float32)
        x, inside = look_up(table, tokens), mask > 0
        for i in range(self.layers):
            block = Block(
                heads=self.heads,
                key_value_heads=self.heads,
                width=self.width,
                use_bias=False,
                dropout=0.0,
                rotary=True,
                norm="rms",
                feed_forward="swiglu",
                last_kernel_spread=0.02 / (2 * self.layers) ** 0.5,
                dtype=None,
                name=f"block_{i}",
            )
            x = block(x, None, inside[:, None, None])[0]
        x = nn.RMSNorm(epsilon=1e-5, name="final_norm")(x) * inside[..., None]
        mean = jnp.sum(x, axis=1) / jnp.maximum(jnp.sum(inside, axis=1, keepdims=True), 1)
        return nn.Dense(self.num_outputs, name="output")(mean)
