"""Normalization layers."""

from collections.abc import Callable

import flax.linen as nn
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jax import Array, lax

from jaxgen.core.reductions import AXIS, axis_is_bound
from jaxgen.networks.layers.spectral_norm import spectrally_normalized


class BatchNorm(nn.Module):
    """Batch normalization with the statistics of the whole batch, over all devices.

    y = scale (x - mean) / sqrt(variance + epsilon) + bias, with the mean and variance of each channel over every other
    axis (Ioffe and Szegedy 2015, arXiv:1502.03167, Algorithm 1). In training they come from the batch, and running
    averages of them are stored in the collection `batch_stats`; otherwise the running averages are used.

    A layer directly before it needs no bias.

    Attributes:
      momentum: decay of the running averages.
      epsilon: added to the variance.
      use_scale: whether there is a learned `scale` [C].
      use_bias: whether there is a learned `bias` [C].
      scale_init: initializer of `scale`.
    """

    momentum: float = 0.9
    epsilon: float = 1e-5
    use_scale: bool = True
    use_bias: bool = True
    scale_init: Callable = nn.initializers.ones

    @nn.compact
    def __call__(self, inputs: Array, *, train: bool) -> Array:
        """Map [..., C] to [..., C]."""
        norm = nn.BatchNorm(
            use_running_average=not train,
            momentum=self.momentum,
            epsilon=self.epsilon,
            use_scale=self.use_scale,
            use_bias=self.use_bias,
            scale_init=self.scale_init,
            axis_name=AXIS if axis_is_bound() else None,
        )
        nn.share_scope(self, norm)  # the parameters are this layer's own, not a child's
        return norm(inputs)


class ConditionalBatchNorm(nn.Module):
    """Batch normalization whose gain and bias come from a condition (de Vries et al. 2017, arXiv:1707.00683).

    y = gain(c) (x - mean) / sqrt(variance + epsilon) + bias(c), with the statistics of `BatchNorm`. For labels gain and
    bias are learned for each class and start at 1 and 0 (Miyato and Koyama 2018, arXiv:1802.05637); for a vector e they
    are 1 + W e and V e (BigGAN: Brock et al. 2019, arXiv:1809.11096, appendix B).

    Attributes:
      num_classes: K, if the condition is labels in 0..K-1; None: the condition is a vector.
      spectral_norm: whether W and V are spectrally normalized.
      kernel_init: initializer of W and V.
    """

    num_classes: int | None = None
    spectral_norm: bool = False
    kernel_init: Callable = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, inputs: Array, condition: Array, *, train: bool) -> Array:
        """Map [B, ..., C] and labels int [B], or vectors [B, E] to [B, ..., C]."""
        channels = inputs.shape[-1]
        normed = BatchNorm(use_scale=False, use_bias=False)(inputs, train=train)
        if self.num_classes is not None:
            ones, zeros = nn.initializers.ones, nn.initializers.zeros
            gain = nn.Embed(self.num_classes, channels, embedding_init=ones, name="gain")(condition)
            bias = nn.Embed(self.num_classes, channels, embedding_init=zeros, name="bias")(condition)
        else:

            def linear(name: str) -> Array:
                layer = nn.Dense(channels, use_bias=False, kernel_init=self.kernel_init, name=name)
                return spectrally_normalized(layer, train=train, enabled=self.spectral_norm)(condition)

            gain, bias = 1.0 + linear("gain"), linear("bias")
        per_example = (-1,) + (1,) * (inputs.ndim - 2) + (channels,)
        return normed * gain.reshape(per_example) + bias.reshape(per_example)


class GroupNorm(nn.Module):
    """Group normalization (Wu and He 2018, arXiv:1803.08494, eqs. 1 to 6), over groups of channels of each example.

    There are 32 groups, or the largest number of equal groups that have at least 4 channels each.

    Attributes:
      epsilon: added to the variance.
    """

    epsilon: float = 1e-5

    @nn.compact
    def __call__(self, inputs: Array, scale_shift: tuple[Array, Array] | None = None) -> Array:
        """Map [B, ..., C] to [B, ..., C], times 1 + s and plus t if given a `scale_shift` (s, t), both [B, C]."""
        channels = inputs.shape[-1]
        fitting = [n for n in range(1, 33) if channels % n == 0 and (n == 1 or channels // n >= 4)]
        scale = self.param("scale", nn.initializers.ones, (channels,), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (channels,), jnp.float32)
        if scale_shift is not None:
            scale, bias = scale * (1.0 + scale_shift[0]), bias * (1.0 + scale_shift[0]) + scale_shift[1]
        return normalized_by_groups(inputs, fitting[-1], self.epsilon, scale, bias)


class ScaleShift(nn.Module):
    """Scale and shift of a map from an embedding (FiLM): the halves of `nn.Dense(2 F)`, as two products.

    XLA's CPU code recomputes halves of one product for each number of the map: 2.0 ms for group norm, scale, shift and
    SiLU of [64,16,16,32] with their gradients, 0.5 ms with two products.

    Attributes:
      features: F.
    """

    features: int

    @nn.compact
    def __call__(self, embedding: Array) -> tuple[Array, Array]:
        """Map [B, E] to two arrays [B, F], the `scale_shift` of `GroupNorm`."""
        shape = embedding.shape[-1], 2 * self.features
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, shape[1:], jnp.float32)
        embedding, kernel, bias = promote_dtype(embedding, kernel, bias)
        scale, shift = (
            embedding @ part + offset for part, offset in zip(jnp.split(kernel, 2, -1), jnp.split(bias, 2), strict=True)
        )
        return scale, shift


class InstanceNorm(nn.Module):
    """Instance normalization, over each channel of each example (Ulyanov et al. 2016, arXiv:1607.08022, eq. 2).

    Attributes:
      epsilon: added to the variance.
      use_affine: whether there is a learned `scale` and `bias` [C].
    """

    epsilon: float = 1e-5
    use_affine: bool = False

    @nn.compact
    def __call__(self, inputs: Array) -> Array:
        """Map [B, H, W, C] to [B, H, W, C]."""
        channels = inputs.shape[-1]
        scale = self.param("scale", nn.initializers.ones, (channels,), jnp.float32) if self.use_affine else 1.0
        bias = self.param("bias", nn.initializers.zeros, (channels,), jnp.float32) if self.use_affine else 0.0
        return normalized_by_groups(inputs, channels, self.epsilon, scale, bias)


def normalized_by_groups(
    inputs: Array, groups: int, epsilon: float, scale: Array | float = 1.0, bias: Array | float = 0.0
) -> Array:
    """Return (x - mean) / sqrt(variance + epsilon) * scale + bias, over groups of neighboring channels of each example.

    It makes two passes over the inputs for the sums and one for the outputs, in memory order. The second and third are
    over d = x - k, where k is the mean of each group from the first, so that no digits are lost when the mean is many
    times the standard deviation: E[x^2] - E[x]^2 in float32 would be off by half at 1000 times. The result depends on k
    only by rounding. Sums are at least float32.

    Args:
      inputs: [B, ..., C].
      groups: number of groups, a divisor of C.
      scale: [B, C], [C] or [].
      bias: [B, C], [C] or [].
    """
    batch, channels = inputs.shape[0], inputs.shape[-1]
    rows = inputs.reshape(batch, -1, channels)
    wide = rows.astype(jnp.promote_types(rows.dtype, jnp.float32))

    def group_means(sums: Array) -> Array:  # [B, C] -> [B, C]
        means = jnp.mean(sums.reshape(batch, groups, -1), -1) / rows.shape[1]
        return jnp.repeat(means, channels // groups, -1)

    shifted = wide - group_means(jnp.sum(lax.stop_gradient(wide), 1))[:, None]
    mean = group_means(jnp.sum(shifted, 1))
    variance = group_means(jnp.sum(jnp.square(shifted), 1)) - jnp.square(mean)
    factor = lax.rsqrt(jnp.maximum(variance, 0.0) + epsilon) * scale
    shift = bias - mean * factor
    return (shifted * factor[:, None] + shift[:, None]).astype(inputs.dtype).reshape(inputs.shape)
