"""Gated PixelCNN over grids of tokens (van den Oord et al. 2016, https://arxiv.org/abs/1606.05328)."""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from jaxgen.networks.layers.convolution.conv import fast_forms_pay
from jaxgen.networks.layers.convolution.dft import Pair
from jaxgen.networks.layers.convolution.dispatch import local_convolution
from jaxgen.networks.layers.convolution.im2col import im2col_convolution

Cache = dict[str, list[Array]]
"""State of each layer while a grid is drawn: `above` [B, R, w, C], the R rows that the vertical stack sees; `beside`
[B, 1, R, C], the R positions that the horizontal stack sees; `joined` [B, 1, w, 2 C], the vertical stack's input to the
horizontal stack in the row being drawn."""


class GatedPixelCNN(nn.Module):
    """Logits of each token of a grid, given all rows above it and the tokens to its left.

    Two stacks of convolutions see exactly this context, without the blind spot of a single masked stack: the vertical
    stack sees the rows above, the horizontal stack the row so far. With y the output of a stack's convolution, a layer
    is

        y = tanh(W_f * x + V_f h) sigmoid(W_g * x + V_g h)      (eqs. 2 and 4)

    where h is the class, one-hot. The horizontal stack also receives a 1x1 convolution of the vertical stack's sums,
    and ends in a 1x1 convolution and a residual connection.

    Attributes:
      num_tokens: K.
      width: channels of each stack.
      layers: number of layers.
      first_reach: how far the first layer sees to the left, to the right and up.
      reach: how far each later layer sees to the left, to the right and up.
      hidden_width: width of the layer before the logits.
      num_classes: N; labels in 0..N-1 are the second argument. None: no condition.
      embedding_width: size of a token's embedding at the first layer; None: `width`.
    """

    num_tokens: int
    width: int = 64
    layers: int = 8
    first_reach: int = 3
    reach: int = 1
    hidden_width: int = 128
    num_classes: int | None = None
    embedding_width: int | None = None

    def setup(self) -> None:
        def layers(name: str, features: int, sizes: Sequence[Pair], classes: int | None = None) -> list[_Convolution]:
            sized = enumerate(sizes)
            return [_Convolution(features, size, num_classes=classes, name=f"{name}_{i}") for i, size in sized]

        both, one, reaches = 2 * self.width, [(1, 1)] * self.layers, self._reaches()
        self.embed = _Convolution(self.embedding_width or self.width, use_bias=False, name="embedding")
        self.vertical = layers(
            "vertical", both, [(rows, 2 * reach + 1) for reach, rows in reaches], classes=self.num_classes
        )
        self.horizontal = layers("horizontal", both, [(1, places) for _, places in reaches], classes=self.num_classes)
        self.join, self.out = layers("join", both, one), layers("out", self.width, one)
        self.hidden = _Convolution(self.hidden_width)
        self.last = _Convolution(self.num_tokens, name="logits")

    def __call__(self, tokens: Array, labels: Array | None = None, *, train: bool) -> Array:
        """Map tokens int [B, h, w] and labels int [B] to logits [B, h, w, K]; the first depends on no token."""
        shape = tokens.shape[1:]
        vertical = horizontal = self._embedded(tokens)  # [B, h, w, C]
        for i, (reach, _) in enumerate(self._reaches()):
            sums = self.vertical[i](vertical, (reach, reach), shape, labels)
            own = self.horizontal[i](horizontal, (0, reach), shape, labels)
            vertical = _gated(sums)
            horizontal = self._horizontal(i, own + self.join[i](sums), horizontal)
        return self._logits(horizontal)

    # ------------------------------------------------------------ drawing, one position at a time

    def start(self, tokens: Array, labels: Array | None = None) -> Cache:
        """Return the cache before any token is known, for grids of the shape of `tokens` [B, h, w]; see `logits_at`."""
        del labels
        batch, _, width = tokens.shape
        cache: Cache = {"above": [], "beside": [], "joined": []}
        for i, (_, seen) in enumerate(self._reaches()):
            channels = self.width if i else self.embed.features
            cache["above"].append(jnp.zeros((batch, seen, width, channels)))
            cache["beside"].append(jnp.zeros((batch, 1, seen, channels)))
            cache["joined"].append(jnp.zeros((batch, 1, width, 2 * self.width)))
        return cache

    def logits_at(
        self, cache: Cache, tokens: Array, position: Array, labels: Array | None = None
    ) -> tuple[Cache, Array]:
        """Return the cache and the logits [B, K] of the token at `position` []; call for 0, 1, 2, ... in raster order.

        All positions together cost as much as one full pass, since each layer is computed once for each of them
        (Ramachandran et al. 2017, arXiv:1704.06001). Tokens [B, h, w] at `position` and after it do not matter.
        """
        row, column = position // tokens.shape[2], position % tokens.shape[2]
        cache = nn.cond(column == 0, lambda net: net._next_row(cache, tokens, row, labels), lambda net: cache, self)
        left = jax.lax.dynamic_slice(tokens, (0, row, jnp.maximum(column - 1, 0)), (len(tokens), 1, 1))
        x = jnp.where(column > 0, self._embedded(left), 0.0)  # [B, 1, 1, C]
        beside = []
        for i, (seen, joined) in enumerate(zip(cache["beside"], cache["joined"], strict=True)):
            beside.append(jnp.concatenate([seen[:, :, 1:], x], 2))
            own = self.horizontal[i](beside[i], (0, 0), (1, 1), labels)
            joined = jax.lax.dynamic_slice_in_dim(joined, column, 1, axis=2)
            x = self._horizontal(i, own + joined, x)
        return {**cache, "beside": beside}, self._logits(x)[:, 0, 0]

    def _next_row(self, cache: Cache, tokens: Array, row: Array, labels: Array | None) -> Cache:
        """Return the cache at the beginning of a row."""
        last = jax.lax.dynamic_slice_in_dim(tokens, jnp.maximum(row - 1, 0), 1, axis=1)
        x = jnp.where(row > 0, self._embedded(last), 0.0)  # [B, 1, w, C]
        above, joined = [], []
        for i, (seen, (reach, _)) in enumerate(zip(cache["above"], self._reaches(), strict=True)):
            above.append(jnp.concatenate([seen[:, 1:], x], 1))
            sums = self.vertical[i](above[i], (0, reach), (1, tokens.shape[2]), labels)
            joined.append(self.join[i](sums))
            x = _gated(sums)
        return {"above": above, "beside": [jnp.zeros_like(b) for b in cache["beside"]], "joined": joined}

    # ------------------------------------------------------------ parts

    def _reaches(self) -> list[Pair]:
        """Return for each layer how far it sees to a side, and how many rows (or positions) its kernel has.

        The first layer must not see the row, or the position, of its own output. Later layers may, since what they find
        there comes from above, or from the left.
        """
        return [(self.first_reach, self.first_reach)] + [(self.reach, self.reach + 1)] * (self.layers - 1)

    def _embedded(self, tokens: Array) -> Array:
        return self.embed(jax.nn.one_hot(tokens, self.num_tokens))

    def _horizontal(self, i: int, sums: Array, inputs: Array) -> Array:
        """Apply the end of a layer of the horizontal stack."""
        out = self.out[i](_gated(sums))
        return out if i == 0 else inputs + out

    def _logits(self, horizontal: Array) -> Array:
        return self.last(nn.relu(self.hidden(nn.relu(horizontal))))


class _Convolution(nn.Module):
    """A convolution with only the causal taps of its kernel, and a bias for each class.

    It uses a form that leaves out exactly what no tap sees (a Fourier transform would only approximate this) and that
    multiplies nothing by zeros (as a masked kernel would).

    Attributes:
      features: F.
      size: kernel size (kh, kw).
      use_bias: whether to add a bias.
      num_classes: number of classes; None: no condition.
    """

    features: int
    size: Pair = (1, 1)
    use_bias: bool = True
    num_classes: int | None = None

    @nn.compact
    def __call__(
        self, inputs: Array, pad_before: Pair = (0, 0), shape: Pair | None = None, labels: Array | None = None
    ) -> Array:
        """Map [B, h, w, C], padded by `pad_before` zeros before the first row and column, to [B, *shape, F].

        `shape` None: (h, w).
        """
        kernel = self.param(
            "kernel", nn.initializers.lecun_normal(), (*self.size, inputs.shape[-1], self.features), jnp.float32
        )
        shape = shape or inputs.shape[1:3]
        if fast_forms_pay():
            outputs = local_convolution(inputs, kernel, (-pad_before[0], -pad_before[1]), shape)
        else:
            outputs = im2col_convolution(inputs, kernel, (1, 1), pad_before, shape)
        if self.use_bias:
            outputs = outputs + self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        if self.num_classes is not None:
            of_class = nn.Dense(self.features, use_bias=False, name="class")
            outputs = outputs + of_class(jax.nn.one_hot(labels, self.num_classes))[:, None, None]
        return outputs


def _gated(sums: Array) -> Array:
    """Map [..., 2 C] to [..., C] by the gated activation, tanh times sigmoid."""
    features, gates = jnp.split(sums, 2, axis=-1)
    return jnp.tanh(features) * jax.nn.sigmoid(gates)
