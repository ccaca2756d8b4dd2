"""Recurrent networks over sequences of tokens: LSTM (Hochreiter and Schmidhuber 1997) and GRU (Cho et al. 2014)."""

from collections.abc import Sequence
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import DTypeLike

from jaxgen.networks.layers.dropout import apply_dropout
from jaxgen.networks.layers.embedding import look_up

Cache = Sequence[tuple[Array, ...]]
"""For each layer its state: (h, c) [B, E] for an LSTM, (h,) for a GRU."""


class RecurrentLayer(nn.Module):
    """A recurrent layer with the weights of PyTorch's LSTM and GRU: x W + b + h U + c, the gates side by side.

    LSTM: gates i, f, g, o; c' = sigma(f) c + sigma(i) tanh(g), h' = sigma(o) tanh(c'). The forget gate's bias starts at
    1 (Jozefowicz et al. 2015). GRU: gates r, z, n; n = tanh(x W_n + b_n + r (h U_n + c_n)), h' = (1 - z) n + z h.

    Attributes:
      width: E, the size of the state.
      kind: "lstm" or "gru".
    """

    width: int
    kind: Literal["lstm", "gru"] = "lstm"

    def setup(self) -> None:
        gates = 4 if self.kind == "lstm" else 3
        uniform = nn.initializers.uniform(2 * self.width**-0.5)

        def spread(key: Array, shape: Sequence[int], dtype: DTypeLike = jnp.float32) -> Array:
            return uniform(key, shape, dtype) - self.width**-0.5  # as PyTorch: within 1 / sqrt(E) of 0

        def bias(key: Array, shape: Sequence[int], dtype: DTypeLike = jnp.float32) -> Array:
            del key
            zeros = jnp.zeros(shape, dtype)
            return zeros.at[self.width : 2 * self.width].set(1.0) if self.kind == "lstm" else zeros

        self.inputs = nn.Dense(gates * self.width, kernel_init=spread, bias_init=bias)
        self.recurrent_kernel = self.param("recurrent_kernel", spread, (self.width, gates * self.width), jnp.float32)
        if self.kind == "gru":
            self.recurrent_bias = self.param(
                "recurrent_bias", nn.initializers.zeros, (gates * self.width,), jnp.float32
            )

    def start(self, batch_size: int) -> tuple[Array, ...]:
        zeros = jnp.zeros((batch_size, self.width))
        return (zeros, zeros) if self.kind == "lstm" else (zeros,)

    def __call__(self, x: Array, state: tuple[Array, ...] | None = None) -> Array:
        """Map [B, T, C] to [B, T, E], starting from `state` or from zeros."""
        # All inputs in one product, before the sequential loop.
        gates = self.inputs(x.reshape(-1, x.shape[-1])).reshape(*x.shape[:2], -1).swapaxes(0, 1)  # [T, B, n E]
        kernel, bias = self.recurrent_kernel, None if self.kind == "lstm" else self.recurrent_bias
        state = self.start(len(x)) if state is None else state
        outputs = jax.lax.scan(lambda state, g: _advance(self.kind, state, g, kernel, bias), state, gates)
        return outputs[1].swapaxes(0, 1)

    def step(self, state: tuple[Array, ...], x: Array) -> tuple[tuple[Array, ...], Array]:
        """Advance by one position: return the next state and the output [B, E] for the input [B, C]."""
        bias = None if self.kind == "lstm" else self.recurrent_bias
        return _advance(self.kind, state, self.inputs(x), self.recurrent_kernel, bias)


def _advance(
    kind: str, state: tuple[Array, ...], gates: Array, kernel: Array, bias: Array | None
) -> tuple[tuple[Array, ...], Array]:
    if kind == "lstm":
        h, c = state
        i, f, g, o = jnp.split(gates + h @ kernel, 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h
    (h,) = state
    r, z, n = jnp.split(gates, 3, axis=-1)
    assert bias is not None
    r_h, z_h, n_h = jnp.split(h @ kernel + bias, 3, axis=-1)
    r, z = jax.nn.sigmoid(r + r_h), jax.nn.sigmoid(z + z_h)
    h = (1.0 - z) * jnp.tanh(n + r * n_h) + z * h
    return (h,), h


class RecurrentNetwork(nn.Module):
    """Next-token logits from an embedding, recurrent layers and an output projection.

    Attributes:
      vocabulary_size: K, the number of tokens.
      width: E, the width of the embedding and of each layer's state.
      layers: number of layers.
      kind: "lstm" or "gru".
      dropout: dropout rate, after the embedding and after each layer (Zaremba et al. 2014, arXiv:1409.2329).
      tied: whether the output layer shares the table of the embedding.
      latent_size: L; all inputs and outputs are then followed by latents [B, L], which set the initial states and are
        projected and added to every embedding (Bowman et al. 2016, arXiv:1511.06349, section 3). None: no latents.
    """

    vocabulary_size: int
    width: int = 256
    layers: int = 2
    kind: Literal["lstm", "gru"] = "lstm"
    dropout: float = 0.0
    tied: bool = False
    latent_size: int | None = None

    def setup(self) -> None:
        self.embedding = self.param(
            "embedding", nn.initializers.normal(0.1), (self.vocabulary_size, self.width), jnp.float32
        )
        self.recurrent = [RecurrentLayer(self.width, self.kind, name=f"layer_{i}") for i in range(self.layers)]
        if not self.tied:
            self.output = nn.Dense(self.vocabulary_size, kernel_init=nn.initializers.lecun_normal())
        if self.latent_size is not None:
            self.latent_states = nn.Dense((2 if self.kind == "lstm" else 1) * self.layers * self.width)
            self.latent_input = nn.Dense(self.width, use_bias=False)

    def __call__(self, tokens: Array, *latents: Array, train: bool, dropout_keys: Array | None = None) -> Array:
        """Map tokens int [B, T] to next-token logits [B, T, K]; `dropout_keys` [B] as in `GPT`."""
        keys = dropout_keys if train and self.dropout else None
        x = apply_dropout(self._embedded(tokens, *latents), self.dropout, keys, 0)
        for i, (layer, state) in enumerate(zip(self.recurrent, self.start(len(tokens), *latents), strict=True)):
            x = apply_dropout(layer(x, state), self.dropout, keys, i + 1)
        return self._logits(x.reshape(-1, self.width)).reshape(*x.shape[:2], -1)

    def start(self, batch_size: int, *latents: Array) -> Cache:
        """Return an empty cache."""
        zeros = [layer.start(batch_size) for layer in self.recurrent]
        if self.latent_size is None:
            return zeros
        states = jnp.split(jnp.tanh(self.latent_states(*latents)), self.layers * len(zeros[0]), axis=-1)
        return jax.tree.unflatten(jax.tree.structure(zeros), states)

    def step(self, cache: Cache, tokens: Array, position: Array, *latents: Array) -> tuple[Cache, Array]:
        """Return the cache after the tokens int [B], and the next-token logits [B, K]."""
        del position
        x, states = self._embedded(tokens[:, None], *latents)[:, 0], []
        for layer, state in zip(self.recurrent, cache, strict=True):
            state, x = layer.step(state, x)
            states.append(state)
        return states, self._logits(x)

    def _embedded(self, tokens: Array, *latents: Array) -> Array:
        """Map tokens [B, T] to [B, T, E]."""
        x = look_up(self.embedding, tokens)
        return x if self.latent_size is None else x + self.latent_input(*latents)[:, None]

    def _logits(self, x: Array) -> Array:
        return x @ self.embedding.T if self.tied else self.output(x)
