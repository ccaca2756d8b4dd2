"""Layers with equalized learning rates, and convolutions modulated by a style.

Weights are stored with variance 1 and scaled when they are used, by 1 / sqrt(fan-in), so that Adam changes all of them
by a similar share of their size (Karras et al. 2018, arXiv:1710.10196, section 4.1). A learning-rate multiplier m
stores them 1 / m as large and scales them by m more, so that a step changes them m times as much (Karras et al. 2019,
arXiv:1812.04948, appendix C).
"""

import math
from typing import Literal

import flax.linen as nn
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jax import Array, lax

from jaxgen.networks.layers.convolution.conv import fast_forms_pay
from jaxgen.networks.layers.convolution.dispatch import strided_convolution, transposed_convolution
from jaxgen.networks.layers.convolution.lax_vjp import DIMENSION_NUMBERS
from jaxgen.networks.layers.resampling import smooth, smooth_downsample

Resample = Literal["up", "down"] | None


def scaled_leaky_relu(inputs: Array) -> Array:
    """Return sqrt(2) max(x, 0.2 x); the factor keeps the variance of the outputs of equalized layers near 1."""
    return nn.leaky_relu(inputs, 0.2) * math.sqrt(2.0)


class EqualizedDense(nn.Module):
    """A Dense layer y = m (W / sqrt(C) x + b), with W [C, F] drawn with standard deviation 1 / m.

    Attributes:
      features: F.
      bias: initial value that the bias adds.
      rate: m, the multiplier of the learning rate.
    """

    features: int
    bias: float = 0.0
    rate: float = 1.0

    @nn.compact
    def __call__(self, inputs: Array) -> Array:
        """Map [..., C] to [..., F]."""
        channels = inputs.shape[-1]
        kernel = self.param("kernel", nn.initializers.normal(1.0 / self.rate), (channels, self.features), jnp.float32)
        bias = self.param("bias", nn.initializers.constant(self.bias / self.rate), (self.features,), jnp.float32)
        return inputs @ (kernel * (self.rate / math.sqrt(channels))) + self.rate * bias


class EqualizedConv(nn.Module):
    """A convolution of stride 1 and "SAME", with W [k, k, C, F] scaled by 1 / (k sqrt(C)).

    Attributes:
      features: F.
      size: k, odd.
      resample: "down": the map is filtered (`resampling.TAPS`) and every second output kept. None: the same size.
      use_bias: whether there is a bias [F].
    """

    features: int
    size: int = 3
    resample: Resample = None
    use_bias: bool = True

    @nn.compact
    def __call__(self, inputs: Array) -> Array:
        """Map [B, H, W, C] to [B, H, W, F], or with "down" to [B, H / 2, W / 2, F]."""
        outputs = convolve(inputs, _scaled_kernel(self, inputs.shape[-1]), self.resample)
        if not self.use_bias:
            return outputs
        return outputs + self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)


class ModulatedConv(nn.Module):
    """A convolution whose weights are scaled by a style and demodulated to unit norm (Karras et al. 2020, eqs. 1, 3).

        w'[k, c, f] = s[c] w[k, c, f],    w''[k, c, f] = w'[k, c, f] / sqrt(sum_{k, c} w'[k, c, f]^2 + 1e-8)

    for each example, with s = A(style), an equalized Dense layer with a bias that starts at 1. Here s scales the inputs
    and the root the outputs, which is equivalent and leaves one kernel for the whole batch.

    Attributes:
      features: F.
      size: k, odd.
      demodulate: whether to use w'' rather than w'.
      resample: "up": convolve the map with zeros between its pixels, then filter (`resampling.TAPS`). None: the same
        size.
    """

    features: int
    size: int = 3
    demodulate: bool = True
    resample: Resample = None

    @nn.compact
    def __call__(self, inputs: Array, style: Array) -> Array:
        """Map [B, H, W, C] and a style [B, S] to [B, H, W, F], or with "up" to [B, 2 H, 2 W, F]."""
        channels = inputs.shape[-1]
        scale = EqualizedDense(channels, bias=1.0, name="style")(style)
        kernel = _scaled_kernel(self, channels)
        outputs = convolve(inputs * scale[:, None, None], kernel, self.resample)
        if not self.demodulate:
            return outputs
        size = jnp.square(scale) @ jnp.sum(jnp.square(kernel), (0, 1))  # [B, F]
        return outputs * lax.rsqrt(size + 1e-8)[:, None, None]


def _scaled_kernel(layer: EqualizedConv | ModulatedConv, channels: int) -> Array:
    shape = (layer.size, layer.size, channels, layer.features)
    return layer.param("kernel", nn.initializers.normal(1.0), shape, jnp.float32) / (layer.size * math.sqrt(channels))


def convolve(inputs: Array, kernel: Array, resample: Resample = None) -> Array:
    """Convolve [B, H, W, C] with an odd kernel [k, k, C, F], "SAME", to [B, H, W, F], with `resample` resized by 2.

    "up": the map with zeros between its pixels is convolved, then filtered with sum 4. "down": it is filtered with sum
    1, then convolved with stride 2. In both the filter is padded to leave exactly 2 H or H / 2.
    """
    inputs, kernel = promote_dtype(inputs, kernel)
    size = kernel.shape[0]
    fast = fast_forms_pay()
    if size == 1:
        if resample is not None:
            inputs = smooth_downsample(inputs)
        return inputs @ kernel[0, 0]
    if resample == "up":
        pads = ((size - 1, size - 1),) * 2
        form = transposed_convolution if fast else lax.conv_transpose
        return smooth(form(inputs, kernel, (2, 2), pads), (1, 1), 4.0)
    strides, padding = ((1, 1), "SAME") if resample is None else ((2, 2), "VALID")
    if resample == "down":
        inputs = smooth(inputs, ((size + 1) // 2,) * 2, 1.0)
    if fast:
        return strided_convolution(inputs, kernel, strides, padding)
    return lax.conv_general_dilated(inputs, kernel, strides, padding, dimension_numbers=DIMENSION_NUMBERS)
