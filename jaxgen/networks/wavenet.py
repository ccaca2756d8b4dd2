"""WaveNet over samples of sound (van den Oord et al. 2016, https://arxiv.org/abs/1609.03499)."""

from collections.abc import Sequence
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import DTypeLike

from jaxgen.data.mu_law import amplitudes_of
from jaxgen.networks.layers.dropout import apply_dropout
from jaxgen.networks.layers.embedding import look_up
from jaxgen.networks.linear_prediction import Ahead, Known, LinearPredictor


class Spoken(NamedTuple):
    """The condition of windows of clips: what is said in each clip, and where in the clip the window begins."""

    label: Array
    """int [B]: the number of the known word; -1: not a known word."""
    characters: Array
    """int [B, S]: its spelling as characters numbered from 1; 0 after its end."""
    start: Array
    """int [B]: the position within the clip of the first sample that is predicted."""
    length: Array
    """int [B]: number of samples of the whole clip, over which its characters are spread evenly."""


class Cache(NamedTuple):
    """State while samples are drawn."""

    queues: Sequence[Array]
    """For each layer of dilation d, its last d inputs [d, B, C]; that of position t is at t modulo d."""
    condition: Array | None
    """[B, S, H]: the condition, see `WaveNet`."""
    known: Known | None
    """State of the linear predictor."""


class WaveNet(nn.Module):
    """A stack of dilated causal convolutions over samples: logits (or other parameters) of each next sample.

    A layer sees its inputs x_t and x_{t-d}, where d is its dilation, and the condition h_t if there is one:

        z = tanh(W_f * x + V_f h) sigmoid(W_g * x + V_g h)      (eqs. 2 and 3)

    From z one product computes both what is added to x for the next layer and what is summed over all layers; that sum
    goes through relu, product, relu, product. So the outputs at t depend on the tokens from t - sum(dilations) to t:
    `receptive_field` is 1 + sum(dilations). Before the first token everything is 0.

    The condition: characters are embedded, and each is combined with its two neighbors by a product and tanh. They are
    spread evenly over the clip, and h_t is interpolated linearly between the two whose middles are nearest to t. An
    embedding of the word is added; it is 0 for the label -1, and in training at the rate `dropout`.

    With a `predictor` the network models only how the next sample differs from its linear prediction, as in LPCNet
    (Valin & Skoglund 2019, arXiv:1810.11846), and its inputs and outputs are relative to the current loudness. The
    inputs are, for the amplitudes x of mu-law codes: x_t, x_{t-1} and the prediction p_t, each over the loudness; the
    log loudness; and the log of the prediction's mean error s_t over the loudness. Its outputs (w, m, r), M of each,
    give M components with means p_t + s_t m and log scales log s_t + r, see `mixture_in_amplitudes` of
    `jaxgen.models.autoregressive`. Outputs then depend on all previous tokens, through the predictor's state.

    Attributes:
      num_tokens: K, the number of tokens.
      num_outputs: parameters of each distribution; None: K logits.
      width: C, channels between the layers.
      gate_width: channels of z.
      skip_width: channels of the sum over the layers.
      dilations: dilation of each layer.
      amplitudes: whether a token enters as one number in [-1, 1] rather than by an embedding.
      predictor: the linear predictor; None: no predictor.
      num_classes: number of words; None with `num_characters` None: no condition.
      num_characters: number of different characters, counted from 1.
      condition_width: H, the width of the condition.
      dropout: dropout rate, of whole channels of z (Tompson et al. 2015, arXiv:1411.4280).
    """

    num_tokens: int = 256
    num_outputs: int | None = None
    width: int = 32
    gate_width: int = 32
    skip_width: int = 64
    dilations: tuple[int, ...] = tuple(2**i for i in range(10)) * 2
    amplitudes: bool = False
    predictor: LinearPredictor | None = None
    num_classes: int | None = None
    num_characters: int | None = None
    condition_width: int = 16
    dropout: float = 0.0

    @property
    def receptive_field(self) -> int:
        """Number of tokens that an output depends on, not counting a predictor's state."""
        return 1 + sum(self.dilations)

    def setup(self) -> None:
        normal = nn.initializers.normal
        if self.amplitudes or self.predictor:
            self.amplitude = nn.Dense(self.width)
        else:
            self.embedding = self.param("embedding", _near_a_line, (self.num_tokens, self.width), jnp.float32)
        if self.num_classes is not None:
            self.words = self.param("words", normal(0.1), (self.num_classes, self.condition_width), jnp.float32)
            self.characters = self.param(
                "characters", normal(1.0), (self.num_characters, self.condition_width), jnp.float32
            )
            self.neighbours = nn.Dense(self.condition_width)
        widths = [self.width] * (len(self.dilations) - 1) + [0]  # nothing comes after the last layer
        self.layers = [
            _Layer(self.gate_width, width, self.skip_width, self.dropout, name=f"layer_{i}")
            for i, width in enumerate(widths)
        ]
        self.hidden = nn.Dense(self.skip_width)
        self.output = nn.Dense(self.num_outputs or self.num_tokens)

    def __call__(
        self, tokens: Array, spoken: Spoken | None = None, *, train: bool, dropout_keys: Array | None = None
    ) -> Array:
        """Map tokens int [B, T] to outputs [B, T, K] for the next token.

        `dropout_keys` [B] are needed if `train` is set and `dropout` is above 0.
        """
        batch, length = tokens.shape
        keys = dropout_keys if train and self.dropout else None
        condition = None
        if spoken is not None:
            condition = _spread(self._condition(spoken, keys), spoken, jnp.arange(length))
        ahead = None
        if self.predictor is None:
            x = self._embedded(tokens)
        else:
            samples = self._samples(tokens)
            ahead = self.predictor.predict(samples)
            x = self._relative(samples, jnp.pad(samples, ((0, 0), (1, 0)))[:, :-1], ahead)
        sums = 0.0
        for i, (layer, dilation) in enumerate(zip(self.layers, self.dilations, strict=True)):
            before = jnp.pad(x, ((0, 0), (min(dilation, length), 0), (0, 0)))[:, :length]
            x, skip = layer(x, before, condition, keys, i + 1)
            sums += skip
        return _around(ahead, self._outputs(sums).reshape(batch, length, -1))

    def start(self, batch_size: int, spoken: Spoken | None = None) -> Cache:
        """Return an empty cache."""
        queues = [jnp.zeros((dilation, batch_size, self.width)) for dilation in self.dilations]
        known = None if self.predictor is None else self.predictor.start(batch_size)
        return Cache(queues, None if spoken is None else self._condition(spoken, None), known)

    def step(self, cache: Cache, tokens: Array, position: Array, spoken: Spoken | None = None) -> tuple[Cache, Array]:
        """Return the cache after the tokens int [B] at `position` [], and the outputs [B, K] for the next token.

        The number of operations is the same at any position (Paine et al. 2016, arXiv:1611.09482).
        """
        condition = None
        if spoken is not None:
            assert cache.condition is not None
            condition = _spread(cache.condition, spoken, position[None])[:, 0]
        known, ahead = cache.known, None
        if self.predictor is None:
            x = self._embedded(tokens)
        else:
            assert known is not None
            samples, before = self._samples(tokens), known.past[:, 0]
            known = self.predictor.step(known, samples)
            ahead = known.ahead
            x = self._relative(samples, before, ahead)
        sums, queues = 0.0, []
        for layer, dilation, queue in zip(self.layers, self.dilations, cache.queues, strict=True):
            place = position % dilation
            before = jax.lax.dynamic_index_in_dim(queue, place, keepdims=False)
            queues.append(jax.lax.dynamic_update_index_in_dim(queue, x, place, 0))
            x, skip = layer(x, before, condition, None, 0)
            sums += skip
        return cache._replace(queues=queues, known=known), _around(ahead, self._outputs(sums))

    # ------------------------------------------------------------ parts

    def _embedded(self, tokens: Array) -> Array:
        """Map tokens [...] to [..., C]."""
        if self.amplitudes:
            return self.amplitude((2.0 * tokens / (self.num_tokens - 1.0) - 1.0)[..., None])
        return look_up(self.embedding, tokens)

    def _samples(self, tokens: Array) -> Array:
        """Map tokens to amplitudes, [...]."""
        return amplitudes_of(tokens, jnp, self.num_tokens)

    def _relative(self, samples: Array, before: Array, ahead: Ahead) -> Array:
        """Map amplitudes, those before them, and the predictions after them, [...], to features [..., C]."""
        seen = [value / ahead.loudness for value in (samples, before, ahead.sample)]
        seen += [0.3 * jnp.log(ahead.loudness) + 1.5, jnp.log(ahead.scale / ahead.loudness)]  # of sizes near 1
        return self.amplitude(jnp.clip(jnp.stack(seen, -1), -6.0, 6.0))

    def _condition(self, spoken: Spoken, keys: Array | None) -> Array:
        """Return the condition [B, S, H]: the embedded characters with the word's embedding added."""
        known = (spoken.characters > 0)[..., None]
        embedded = look_up(self.characters, spoken.characters - 1) * known
        padded = jnp.pad(embedded, ((0, 0), (1, 1), (0, 0)))
        joined = jnp.concatenate([padded[:, :-2], embedded, padded[:, 2:]], -1)
        assert self.num_classes is not None
        word = jax.nn.one_hot(spoken.label, self.num_classes, dtype=self.words.dtype) @ self.words
        word = word * apply_dropout(jnp.ones((len(word), 1)), self.dropout, keys, 0)
        return jnp.tanh(self.neighbours(joined)) + word[:, None]

    def _outputs(self, sums: Array | float) -> Array:
        """Map the sums [N, S] to outputs [N, K], row by row."""
        return self.output(nn.relu(self.hidden(nn.relu(sums))))


class _Layer(nn.Module):
    """A layer of a `WaveNet`, whose attributes it shares, except that `width` is 0 in the last layer."""

    gate_width: int
    width: int
    skip_width: int
    dropout: float

    def setup(self) -> None:
        self.taps = nn.Dense(2 * self.gate_width)
        self.out = nn.Dense(self.width + self.skip_width)

    def __call__(
        self, x: Array, before: Array, condition: Array | None, keys: Array | None, use: int
    ) -> tuple[Array, Array]:
        """Return x for the next layer, and the layer's share [N, S] of the sum, by rows.

        Arguments are x and x before, [..., C], and the condition [..., H].

        Both taps and the condition are in one product: on a CPU XLA's convolutions are slow, and so are small products.
        """
        seen = jnp.concatenate([before, x] if condition is None else [before, x, condition], -1)
        features, gates = jnp.split(self.taps(seen.reshape(-1, seen.shape[-1])), 2, -1)
        z = jnp.tanh(features) * jax.nn.sigmoid(gates)  # [N, G]
        if keys is not None:
            kept = apply_dropout(jnp.ones((len(keys), 1, self.gate_width)), self.dropout, keys, use)
            z = (z.reshape(len(keys), -1, self.gate_width) * kept).reshape(z.shape)
        residual, skip = jnp.split(self.out(z), [self.width], -1)
        return x + residual.reshape(x.shape) if self.width else x, skip


def _around(ahead: Ahead | None, outputs: Array) -> Array:
    """Map the outputs [..., 3 M] to weights, means and log scales of amplitudes; unchanged if `ahead` is None."""
    if ahead is None:
        return outputs
    weights, means, log_scales = jnp.split(outputs, 3, -1)
    count, scale = weights.shape[-1], ahead.scale[..., None]
    means += jnp.linspace(-0.5, 0.5, count, dtype=means.dtype)  # so that components differ from the beginning
    log_scales += jnp.linspace(-2.0, 0.7, count, dtype=means.dtype)
    return jnp.concatenate([weights, ahead.sample[..., None] + scale * means, jnp.log(scale) + log_scales], -1)


def _near_a_line(key: Array, shape: Sequence[int], dtype: DTypeLike = jnp.float32) -> Array:
    """Draw an embedding [K, C] of levels that starts almost linear in the level, so that near levels start alike."""
    line_key, noise_key = jax.random.split(key)
    levels = jnp.linspace(-1.0, 1.0, shape[0], dtype=dtype)[:, None]
    return levels * jax.random.normal(line_key, shape[1:], dtype) + 0.1 * jax.random.normal(noise_key, shape, dtype)


def _spread(condition: Array, spoken: Spoken, positions: Array) -> Array:
    """Spread the conditions [B, S, H] of a clip's characters over positions [T] of windows: [B, T, H]."""
    count = jnp.sum(spoken.characters > 0, -1, keepdims=True)  # [B, 1]
    through = (spoken.start[:, None] + positions + 0.5) / spoken.length[:, None]  # [B, T]: the part of the clip so far
    place = jnp.clip(through * count - 0.5, 0, count - 1)
    weights = nn.relu(1.0 - jnp.abs(place[..., None] - jnp.arange(condition.shape[1])))  # [B, T, S], of sum 1
    return jnp.einsum("bts,bsh->bth", weights.astype(condition.dtype), condition)
