"""The diffusion transformer (DiT: Peebles and Xie 2023, arXiv:2212.09748)."""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxgen.networks.layers.attention import attend
from jaxgen.networks.layers.dropout import apply_dropout, folded
from jaxgen.networks.layers.embedding import sinusoids
from jaxgen.networks.layers.noise_embedding import NoiseEmbedding
from jaxgen.networks.layers.resampling import depth_to_space, space_to_depth
from jaxgen.networks.layers.sizes import check_multiple

ZEROS = nn.initializers.zeros
GLOROT = nn.initializers.glorot_uniform()


class DiT(nn.Module):
    """Transformer over the patches of an image; the noise level modulates its norms and gates ("adaLN-Zero").

    Attributes:
      channels: channels of the outputs, C.
      patch_size: side of a patch.
      width: E, the width of the tokens.
      layers: number of blocks.
      heads: number of attention heads.
      dropout: dropout rate, after each half of a block.
      num_classes: K; labels in 0..K are the last argument, K for no class. None: no labels.
    """

    channels: int
    patch_size: int = 2
    width: int = 384
    layers: int = 12
    heads: int = 6
    dropout: float = 0.0
    num_classes: int | None = None

    @nn.compact
    def __call__(
        self, x: Array, noise_labels: Array, *condition: Array, train: bool, dropout_keys: Array | None = None
    ) -> Array:
        """Map images [B, H, W, C], noise labels [B], and labels int [B] with `num_classes` to [B, H, W, C].

        Raises:
          UserError: a side is not a multiple of `patch_size`.
        """
        check_multiple(x.shape[1:3], self.patch_size)
        steps = (self.patch_size,) * 2
        patches = space_to_depth(x, steps)  # [B, h, w, C']
        batch, rows, columns, _ = patches.shape
        tokens = nn.Dense(self.width, kernel_init=GLOROT, name="first")(patches.reshape(batch * rows * columns, -1))
        tokens = tokens.reshape(batch, -1, self.width) + _positions(rows, columns, self.width).astype(tokens.dtype)
        embedding = NoiseEmbedding(self.width, self.num_classes, name="embedding")(noise_labels, *condition)
        keys = dropout_keys if train and self.dropout else None
        for i in range(self.layers):
            tokens = DiTBlock(self.heads, self.dropout, name=f"block_{i}")(tokens, embedding, folded(keys, i))
        shift, scale = _modulation(embedding, 2, self.width, "last_moves")
        rows_out = (_norm()(tokens) * (1.0 + scale) + shift).reshape(-1, self.width)
        out = nn.Dense(self.channels * self.patch_size**2, kernel_init=ZEROS, name="last")(rows_out)
        return depth_to_space(out.reshape(batch, rows, columns, -1), steps)


class DiTBlock(nn.Module):
    """A transformer block: x + gate attention(modulated norm(x)), then x + gate feed_forward(modulated norm(x)).

    The gates start at 0.

    Attributes:
      heads: number of attention heads.
      dropout: dropout rate, after each half of the block.
    """

    heads: int
    dropout: float = 0.0

    @nn.compact
    def __call__(self, x: Array, embedding: Array, dropout_keys: Array | None = None) -> Array:
        """Map [B, T, E] and [B, E'] to [B, T, E]."""
        batch, length, width = x.shape
        modulation = _modulation(embedding, 6, width, "moves")
        rows = (_norm()(x) * (1.0 + modulation[1]) + modulation[0]).reshape(-1, width)
        joined = nn.Dense(3 * width, kernel_init=GLOROT, name="queries_keys_values")(rows)
        heads = joined.reshape(batch, length, 3, self.heads, -1).transpose(2, 0, 3, 1, 4)  # 3 times [B, H, T, D]
        mixed = attend(*heads).reshape(-1, width)
        attended = nn.Dense(width, kernel_init=GLOROT, name="attention_output")(mixed).reshape(x.shape)
        x = x + modulation[2] * apply_dropout(attended, self.dropout, dropout_keys, 0)
        rows = (_norm()(x) * (1.0 + modulation[4]) + modulation[3]).reshape(-1, width)
        hidden = nn.gelu(nn.Dense(4 * width, kernel_init=GLOROT, name="hidden")(rows))
        fed = nn.Dense(width, kernel_init=GLOROT, name="output")(hidden).reshape(x.shape)
        return x + modulation[5] * apply_dropout(fed, self.dropout, dropout_keys, 1)


def _norm() -> nn.LayerNorm:
    return nn.LayerNorm(epsilon=1e-6, use_bias=False, use_scale=False)


def _modulation(embedding: Array, count: int, width: int, name: str) -> list[Array]:
    """Map an embedding [B, E'] to `count` shifts, scales and gates [B, 1, E], which start at 0 (adaLN-Zero)."""
    modulation = nn.Dense(count * width, kernel_init=ZEROS, name=name)(embedding)
    return jnp.split(modulation[:, None], count, -1)


def _positions(rows: int, columns: int, width: int) -> Array:
    """Return position embeddings [rows * columns, E]: sinusoids of the row, then of the column.

    The frequencies decrease from 1 to about 1/10,000.
    """
    row, column = np.divmod(np.arange(rows * columns, dtype=np.float32), columns)
    ends = {"slowest": 1e-4, "fastest": 1.0}
    return jnp.concatenate([sinusoids(jnp.asarray(place), width // 2, **ends) for place in (row, column)], -1)
