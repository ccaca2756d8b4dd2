"""Attention."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from jaxgen.core.errors import UserError
from jaxgen.networks.layers.convolution.conv import Conv
from jaxgen.networks.layers.resampling import max_pool
from jaxgen.networks.layers.spectral_norm import spectrally_normalized


def attend(
    queries: Array,
    keys: Array,
    values: Array,
    seen: Array | None = None,
    drop: Callable[[Array], Array] = lambda weights: weights,
    scale: float | None = None,
) -> Array:
    """Compute softmax(q k^T / sqrt(D)) v (Vaswani et al. 2017, arXiv:1706.03762, eq. 1).

    The order of the products is the one that is fast in XLA on a CPU. The softmax is computed in at least float32.

    Args:
      queries: [B, H, T, D].
      keys: [B, G, S, D], each for H / G heads of queries (grouped-query attention: Ainslie et al. 2023,
        arXiv:2305.13245).
      values: [B, G, S, D].
      seen: bool, broadcast to [B, H, T, S]: the positions that a query may attend to; None: all.
      drop: dropout of the weights [B, H, T, S].
      scale: factor of q k^T; None: 1 / sqrt(D).

    Returns:
      [B, T, H D].
    """
    batch, heads, length, size = queries.shape
    groups = keys.shape[1]
    queries = queries.reshape(batch, groups, -1, size)  # [B, G, H / G T, D]
    scores = jnp.einsum("bgqd,bgkd->bgqk", queries, keys) * (size**-0.5 if scale is None else scale)
    scores = scores.astype(jnp.promote_types(scores.dtype, jnp.float32)).reshape(batch, heads, length, -1)
    weights = jax.nn.softmax(scores if seen is None else jnp.where(seen, scores, -jnp.inf)).astype(values.dtype)
    weights = drop(weights)
    mixed = jnp.einsum("bgqk,bgkd->bgqd", weights.reshape(batch, groups, -1, weights.shape[-1]), values)
    return mixed.reshape(batch, heads, length, size).transpose(0, 2, 1, 3).reshape(batch, length, -1)


class SelfAttention(nn.Module):
    """Self-attention between the pixels of a map (SAGAN: Zhang et al. 2019, arXiv:1805.08318, eqs. 1 to 3).

    y_j = gamma v(sum_i beta_ji h(x_i)) + x_j with beta_ji = softmax_i(f(x_i)^T g(x_j)). f (the keys), g (the queries),
    h (the values) and v are 1x1 convolutions without biases to C / 8, C / 8, C / 2 and C channels; the scalar gamma
    starts at 0. As in the authors' code, f and h are max pooled by 2x2: i runs over a quarter of the pixels.

    Attributes:
      spectral_norm: whether the convolutions are spectrally normalized.
      kernel_init: initializer of the convolutions.
    """

    spectral_norm: bool = True
    kernel_init: nn.initializers.Initializer = nn.initializers.glorot_uniform()

    @nn.compact
    def __call__(self, inputs: Array, *, train: bool) -> Array:
        """Map [B, H, W, C] to [B, H, W, C].

        Raises:
          UserError: C is not a multiple of 8.
        """
        batch, height, width, channels = inputs.shape
        if channels % 8:
            raise UserError(f"Self-attention needs a number of channels that 8 divides, not {channels}.")

        def conv(features: int, name: str, inputs: Array) -> Array:
            layer = Conv(features, (1, 1), use_bias=False, kernel_init=self.kernel_init, name=name)
            return spectrally_normalized(layer, train=train, enabled=self.spectral_norm)(inputs)

        queries = conv(channels // 8, "query", inputs).reshape(batch, height * width, -1)
        keys = max_pool(conv(channels // 8, "key", inputs)).reshape(batch, -1, channels // 8)
        values = max_pool(conv(channels // 2, "value", inputs)).reshape(batch, -1, channels // 2)
        weights = nn.softmax(jnp.einsum("bqc,bkc->bqk", queries, keys))  # [B, H W, H W / 4]
        attended = jnp.einsum("bqk,bkc->bqc", weights, values).reshape(batch, height, width, -1)
        gamma = self.param("gamma", nn.initializers.zeros, (), jnp.float32)
        return inputs + gamma * conv(channels, "output", attended)
