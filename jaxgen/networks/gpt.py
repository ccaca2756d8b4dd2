"""The GPT, a transformer of decoder blocks (Radford et al. 2019), with later variants as options."""

import functools
from collections.abc import Callable, Sequence
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jax import Array
from jax.typing import DTypeLike

from jaxgen.networks.layers.attention import attend
from jaxgen.networks.layers.dropout import apply_dropout, folded
from jaxgen.networks.layers.embedding import look_up

Cache = Sequence[dict[str, Array]]
"""For each block, `keys` and `values` [B, G, context, D] of the positions so far."""

_ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "gelu": functools.partial(jax.nn.gelu, approximate=False),
    "gelu_tanh": functools.partial(jax.nn.gelu, approximate=True),
    "relu": jax.nn.relu,
    "silu": jax.nn.silu,
}


class GPT(nn.Module):
    """A decoder-only transformer of pre-norm blocks, which returns next-token logits.

    A block is x + attention(norm(x)), then x + feed_forward(norm(x)). Attention is causal and multi-head (Vaswani et
    al. 2017, arXiv:1706.03762, eq. 1): softmax(q k^T / sqrt(D) + mask) v. Kernels start normal with standard deviation
    0.02, those that end a block with 0.02 / sqrt(2 layers), as in GPT-2.

    Attributes:
      vocabulary_size: K, the number of tokens.
      context: maximum number of tokens.
      layers: number of blocks.
      heads: H, the number of attention heads, each D = width / H wide.
      width: E, the width of the embeddings.
      key_value_heads: G, the number of heads of keys and values, each shared by H / G heads of queries (grouped-query
        attention: Ainslie et al. 2023, arXiv:2305.13245); None: H.
      use_bias: whether Dense layers and layer norms have biases.
      dropout: dropout rate, after the embeddings, on the attention weights and after each half of a block.
      positions: "learned": a learned embedding of each position; "rotary": queries and keys rotated by their position
        (Su et al. 2021, arXiv:2104.09864).
      norm: "layer", or "rms": layer norm without the mean (Zhang and Sennrich 2019, arXiv:1910.07467).
      feed_forward: "gelu" (exact), "gelu_tanh" (GPT-2's approximation), "relu" or "silu" between E and 4 E, or
        "swiglu": silu(a) b, 8/3 E wide (Shazeer 2020, arXiv:2002.05202).
      dtype: dtype of matrix products, for example bfloat16; None: that of the parameters. Parameters, norms, softmax
        and logits are at least float32.
      remat: whether a block's activations are recomputed for the gradient instead of stored.
      latent_size: L; all inputs are then followed by latents [B, L], which are projected and added to every embedding
        (Li et al. 2020, arXiv:2004.04092, section 3.2). None: no latents.
      hidden_width: hidden units of the feed-forward layer; None: 4 E, or 8/3 E for "swiglu".
      norm_epsilon: added to the variance (or mean square) in norms.
      tie_embeddings: whether the output layer shares the table of the token embeddings or has its own.
      scale_attention: whether q k^T is divided by sqrt(D).
      scale_attention_by_layer: whether q k^T is also divided by the block's number, counted from 1.
    """

    vocabulary_size: int
    context: int
    layers: int = 4
    heads: int = 4
    width: int = 128
    key_value_heads: int | None = None
    use_bias: bool = False
    dropout: float = 0.0
    positions: Literal["learned", "rotary"] = "learned"
    norm: Literal["layer", "rms"] = "layer"
    feed_forward: Literal["gelu", "gelu_tanh", "relu", "silu", "swiglu"] = "gelu"
    dtype: DTypeLike | None = None
    remat: bool = False
    latent_size: int | None = None
    hidden_width: int | None = None
    norm_epsilon: float = 1e-5
    tie_embeddings: bool = True
    scale_attention: bool = True
    scale_attention_by_layer: bool = False

    def setup(self) -> None:
        normal = nn.initializers.normal(0.02)
        self.token_embedding = self.param("token_embedding", normal, (self.vocabulary_size, self.width), jnp.float32)
        if not self.tie_embeddings:
            self.output_embedding = self.param("output_embedding", normal, self.token_embedding.shape, jnp.float32)
        if self.positions == "learned":
            self.position_embedding = self.param("position_embedding", normal, (self.context, self.width), jnp.float32)
        if self.latent_size is not None:
            self.latent_input = nn.Dense(self.width, use_bias=False, kernel_init=normal)
        block = nn.remat(Block) if self.remat else Block
        self.blocks = [
            block(
                heads=self.heads,
                key_value_heads=self.key_value_heads or self.heads,
                use_bias=self.use_bias,
                dropout=self.dropout,
                width=self.width,
                rotary=self.positions == "rotary",
                norm=self.norm,
                feed_forward=self.feed_forward,
                last_kernel_spread=0.02 / (2 * self.layers) ** 0.5,
                dtype=self.dtype,
                hidden_width=self.hidden_width,
                norm_epsilon=self.norm_epsilon,
                attention_scale=self._attention_scale(i),
                name=f"block_{i}",
            )
            for i in range(self.layers)
        ]
        self.final_norm = _norm(self.norm, self.use_bias, self.norm_epsilon)

    def __call__(self, tokens: Array, *latents: Array, train: bool, dropout_keys: Array | None = None) -> Array:
        """Map tokens int [B, T], T at most `context`, to next-token logits [B, T, K].

        `dropout_keys` has one key for each example, [B]; it is needed if `train` is set and `dropout` is above 0.
        """
        return self._run(tokens, latents, dropout_keys if train and self.dropout else None)[0]

    def fill(self, tokens: Array, *latents: Array) -> Cache:
        """Map tokens int [B, T], T at most `context`, to the cache after them."""
        caches = self._run(tokens, latents, None)[1]
        return jax.tree.map(
            lambda empty, x: jax.lax.dynamic_update_slice(empty, x, (0,) * 4), self.start(len(tokens)), caches
        )

    def start(self, batch_size: int, *latents: Array) -> Cache:
        """Return an empty cache."""
        del latents
        shape = batch_size, self.key_value_heads or self.heads, self.context, self.width // self.heads
        empty = jnp.zeros(shape, self.dtype or self.token_embedding.dtype)
        return [{"keys": empty, "values": empty} for _ in range(self.layers)]

    def step(self, cache: Cache, tokens: Array, position: Array, *latents: Array) -> tuple[Cache, Array]:
        """Return the cache after the tokens int [B] at `position` [], and the next-token logits [B, K]."""
        x, filled = self._embedded(tokens[:, None], position[None], latents), []
        for block, cached in zip(self.blocks, cache, strict=True):
            x, cached = block.step(x, cached, position)
            filled.append(cached)
        return filled, self._logits(x)[:, 0]

    def _attention_scale(self, block: int) -> float | None:
        """Return the factor of q k^T in a block; None: 1 / sqrt(D)."""
        if self.scale_attention and not self.scale_attention_by_layer:
            return None
        scale = (self.width // self.heads) ** -0.5 if self.scale_attention else 1.0
        return scale / (block + 1) if self.scale_attention_by_layer else scale

    def _run(self, tokens: Array, latents: tuple[Array, ...], dropout_keys: Array | None) -> tuple[Array, Cache]:
        """Return logits [B, T, K], and the keys and values [B, G, T, D] of each block."""
        x, caches = self._embedded(tokens, jnp.arange(tokens.shape[1]), latents), []
        x = apply_dropout(x, self.dropout, dropout_keys, 0)
        for i, block in enumerate(self.blocks):
            x, cached = block(x, folded(dropout_keys, i + 1))
            caches.append(cached)
        return self._logits(x), caches

    def _embedded(self, tokens: Array, positions: Array, latents: tuple[Array, ...]) -> Array:
        """Map tokens [B, T] at the consecutive positions [T] to embeddings [B, T, E]."""
        x = look_up(self.token_embedding, tokens)
        if self.positions == "learned":
            x = x + jax.lax.dynamic_slice_in_dim(self.position_embedding, positions[0], positions.shape[0])
        if self.latent_size is not None:
            x = x + self.latent_input(*latents)[:, None]
        return x if self.dtype is None else x.astype(self.dtype)

    def _logits(self, x: Array) -> Array:
        """Map [B, T, E] to float32 logits [B, T, K]."""
        rows = self.final_norm(x).reshape(-1, self.width)
        table = self.token_embedding if self.tie_embeddings else self.output_embedding
        rows, table = promote_dtype(rows, table, dtype=self.dtype)
        return _at_least_float32(rows @ table.T).reshape(*x.shape[:-1], self.vocabulary_size)


class Block(nn.Module):
    """A decoder block. Its other attributes are those of `GPT`.

    Attributes:
      last_kernel_spread: standard deviation of the initial kernels that end a half of the block.
      attention_scale: factor of q k^T; None: 1 / sqrt(D).
    """

    heads: int
    key_value_heads: int
    width: int
    use_bias: bool
    dropout: float
    rotary: bool
    norm: str
    feed_forward: str
    last_kernel_spread: float
    dtype: DTypeLike | None
    hidden_width: int | None = None
    norm_epsilon: float = 1e-5
    attention_scale: float | None = None

    def setup(self) -> None:
        last = self.last_kernel_spread
        self.attention_norm, self.feed_forward_norm = (
            _norm(self.norm, self.use_bias, self.norm_epsilon) for _ in range(2)
        )
        self.queries_keys_values = self._dense((self.heads + 2 * self.key_value_heads) * (self.width // self.heads))
        self.attention_output = self._dense(self.width, last)
        gated = self.feed_forward == "swiglu"
        hidden_width = self.hidden_width or (_multiple_of_8(8 * self.width / 3) if gated else 4 * self.width)
        self.hidden = self._dense(2 * hidden_width if gated else hidden_width)
        self.output = self._dense(self.width, last)

    def __call__(
        self, x: Array, dropout_keys: Array | None, seen: Array | None = None
    ) -> tuple[Array, dict[str, Array]]:
        """Map [B, T, E] to [B, T, E], and return the keys and values [B, G, T, D] as well.

        `seen` is bool, broadcast to [B, H, T, T]: the positions that a position may attend to; None: itself and those
        before it.
        """
        positions = jnp.arange(x.shape[1])
        queries, keys, values = self._heads_of(x, positions)
        seen = positions[:, None] >= positions if seen is None else seen
        attended = self._attended(queries, keys, values, seen, dropout_keys)
        x = x + apply_dropout(attended, self.dropout, dropout_keys, 1)
        x = x + apply_dropout(self._fed_forward(x), self.dropout, dropout_keys, 2)
        return x, {"keys": keys, "values": values}

    def step(self, x: Array, cached: dict[str, Array], position: Array) -> tuple[Array, dict[str, Array]]:
        """Map [B, 1, E] at `position` to [B, 1, E], and the keys and values [B, G, context, D] to those after it."""
        queries, keys, values = self._heads_of(x, position[None])
        cached = {
            name: jax.lax.dynamic_update_slice_in_dim(cached[name], new, position, axis=2)
            for name, new in (("keys", keys), ("values", values))
        }
        seen = (jnp.arange(cached["keys"].shape[2]) <= position)[None]
        x = x + self._attended(queries, cached["keys"], cached["values"], seen, None)
        return x + self._fed_forward(x), cached

    # ------------------------------------------------------------ parts

    def _dense(self, features: int, spread: float = 0.02) -> nn.Dense:
        init = nn.initializers.normal(spread)
        return nn.Dense(features, use_bias=self.use_bias, kernel_init=init, dtype=self.dtype)

    def _heads_of(self, x: Array, positions: Array) -> tuple[Array, Array, Array]:
        """Map [B, T, E] to queries [B, H, T, D], keys and values [B, G, T, D]."""
        joined = _by_rows(self.queries_keys_values, self.attention_norm(x))
        joined = joined.reshape(*x.shape[:2], -1, self.width // self.heads).transpose(0, 2, 1, 3)  # [B, H + 2 G, T, D]
        queries, keys, values = jnp.split(joined, [self.heads, self.heads + self.key_value_heads], axis=1)
        if self.rotary:
            queries, keys = _turned(queries, positions), _turned(keys, positions)
        return queries, keys, values

    def _attended(self, queries: Array, keys: Array, values: Array, seen: Array, dropout_keys: Array | None) -> Array:
        """Map queries [B, H, T, D], keys and values [B, G, S, D], and `seen`, bool as [B, H, T, S], to [B, T, E]."""
        mixed = attend(
            queries,
            keys,
            values,
            seen,
            lambda weights: apply_dropout(weights, self.dropout, dropout_keys, 0),
            self.attention_scale,
        )
        return _by_rows(self.attention_output, mixed)

    def _fed_forward(self, x: Array) -> Array:
        hidden = _by_rows(self.hidden, self.feed_forward_norm(x))
        if self.feed_forward == "swiglu":
            gates, hidden = jnp.split(hidden, 2, axis=-1)
            hidden = jax.nn.silu(gates) * hidden
        else:
            hidden = _ACTIVATIONS[self.feed_forward](hidden)
        return _by_rows(self.output, hidden)


def _norm(kind: str, use_bias: bool, epsilon: float) -> nn.Module:
    if kind == "rms":
        return nn.RMSNorm(epsilon=epsilon)
    return nn.LayerNorm(epsilon=epsilon, use_bias=use_bias)


def _at_least_float32(x: Array) -> Array:
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def _by_rows(layer: nn.Module, x: Array) -> Array:
    """Apply a layer over the last axis as one product of two matrices, which is faster in XLA's CPU code."""
    return layer(x.reshape(-1, x.shape[-1])).reshape(*x.shape[:-1], -1)


def _turned(x: Array, positions: Array) -> Array:
    """Apply rotary positions: rotate the pair (x_i, x_{i + D/2}) of [B, H, T, D] by the angle t 10000^(-2 i / D)."""
    half = x.shape[-1] // 2
    angles = positions[:, None] * 10_000.0 ** (-jnp.arange(half) / half)  # [T, D / 2]
    cos, sin = jnp.cos(angles).astype(x.dtype), jnp.sin(angles).astype(x.dtype)
    first, second = x[..., :half], x[..., half:]
    return jnp.concatenate([first * cos - second * sin, second * cos + first * sin], -1)


def _multiple_of_8(size: float) -> int:
    return 8 * round(size / 8)
