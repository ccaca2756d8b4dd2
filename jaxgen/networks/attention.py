"""Attention blocks."""

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from jaxgen.networks.convolution import Conv
from jaxgen.networks.resampling import max_pool
from jaxgen.networks.spectral_norm import spectrally_normalised


class SelfAttention(nn.Module):
    """Self-attention between the pixels of a map (SAGAN: Zhang et al. 2019, arXiv:1805.08318, eqs. 1 to 3).

    y_j = gamma v(sum_i beta_ji h(x_i)) + x_j with beta_ji = softmax_i(f(x_i)^T g(x_j)). f (the keys), g (the queries),
    h (the values) and v are 1x1 convolutions without biases to C / 8, C / 8, C / 2 and C channels; the scalar gamma
    starts at 0. As in the authors' code f and h are max pooled by 2x2: i runs over a quarter of the pixels.

    Attributes:
      spectral_norm: whether the convolutions are spectrally normalised.
      kernel_init: initialiser of the convolutions.
    """

    spectral_norm: bool = True
    kernel_init: nn.initializers.Initializer = nn.initializers.glorot_uniform()

    @nn.compact
    def __call__(self, inputs: Array, *, train: bool) -> Array:
        """[B, H, W, C] -> [B, H, W, C].

        Raises:
          ValueError: C is not a multiple of 8.
        """
        batch, height, width, channels = inputs.shape
        if channels % 8:
            raise ValueError(f"self-attention needs a number of channels that 8 divides, not {channels}")

        def conv(features: int, name: str, inputs: Array) -> Array:
            layer = Conv(features, (1, 1), use_bias=False, kernel_init=self.kernel_init, name=name)
            return spectrally_normalised(layer, train=train, enabled=self.spectral_norm)(inputs)

        queries = conv(channels // 8, "query", inputs).reshape(batch, height * width, -1)
        keys = max_pool(conv(channels // 8, "key", inputs)).reshape(batch, -1, channels // 8)
        values = max_pool(conv(channels // 2, "value", inputs)).reshape(batch, -1, channels // 2)
        weights = nn.softmax(jnp.einsum("bqc,bkc->bqk", queries, keys))  # [B, H W, H W / 4]
        attended = jnp.einsum("bqk,bkc->bqc", weights, values).reshape(batch, height, width, -1)
        gamma = self.param("gamma", nn.initializers.zeros, (), jnp.float32)
        return inputs + gamma * conv(channels, "output", attended)
