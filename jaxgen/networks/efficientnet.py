"""EfficientNet-Lite0 (Tan and Le 2019, arXiv:1905.11946, in TensorFlow's variant for edge devices of 2020)."""

from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jaxgen.core.per_example import total
from jaxgen.networks.layers.convolution.conv import Conv, fast_forms_pay
from jaxgen.networks.layers.convolution.lax_vjp import DIMENSION_NUMBERS
from jaxgen.networks.layers.normalization import BatchNorm

EPSILON = 1e-3  # of every batch norm


class Stage(NamedTuple):
    """A row of blocks, the first of which has the stride."""

    repeats: int
    kernel_size: int
    stride: int
    expansion: int
    features: int


# Table 1 of the paper, stages 2 to 8. Lite leaves out squeeze-and-excitation and takes ReLU6 for swish.
STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


class EfficientNetLite0(nn.Module):
    """The ImageNet classifier, for use with trained weights: it has no dropout and no stochastic depth.

    The released weights expect 224x224 images: pixels x in 0..255, scaled as (x - 127) / 128.
    """

    def setup(self) -> None:
        self.stem = Conv(32, (3, 3), 2, use_bias=False)
        self.stem_norm = BatchNorm(epsilon=EPSILON)
        self.blocks = [
            InvertedResidual(stage.features, stage.kernel_size, stage.stride if i == 0 else 1, stage.expansion)
            for stage in STAGES
            for i in range(stage.repeats)
        ]
        self.top = Conv(1280, (1, 1), use_bias=False)
        self.top_norm = BatchNorm(epsilon=EPSILON)
        self.head = nn.Dense(1000)

    def __call__(self, images: Array, *, train: bool = False) -> Array:
        """Map images [B, H, W, 3] to logits [B, 1000]."""
        return self.head(self.features(images, train=train))

    def features(self, images: Array, *, train: bool = False) -> Array:
        """Map images [B, H, W, 3] to the features before the last layer, averaged over the map, [B, 1280]."""
        hidden = self.maps(images, train=train)[-1]
        hidden = nn.relu6(self.top_norm(self.top(hidden), train=train))
        return hidden.mean((1, 2))

    def maps(self, images: Array, *, train: bool = False) -> list[Array]:
        """Map images [B, H, W, 3] to the maps after the stem and after each of the 7 stages, [B, h, w, C] each."""
        hidden = nn.relu6(self.stem_norm(self.stem(images), train=train))
        maps, ends = [hidden], np.cumsum([stage.repeats for stage in STAGES])
        for i, block in enumerate(self.blocks, 1):
            hidden = block(hidden, train=train)
            if i in ends:
                maps.append(hidden)
        return maps


class InvertedResidual(nn.Module):
    """1x1 expansion, depthwise convolution, 1x1 projection, and a shortcut if the shapes agree.

    Sandler et al. 2018, arXiv:1801.04381, section 3.3.

    Attributes:
      features: channels of the output, F.
      kernel_size: kernel size of the depthwise convolution.
      stride: stride of the depthwise convolution.
      expansion: channels in between for each channel of the input; 1: no expansion layer.
    """

    features: int
    kernel_size: int
    stride: int
    expansion: int

    @nn.compact
    def __call__(self, inputs: Array, *, train: bool) -> Array:
        """Map [B, H, W, C] to [B, ceil(H / stride), ceil(W / stride), F]."""
        channels = inputs.shape[-1]
        hidden = inputs
        if self.expansion > 1:
            hidden = Conv(channels * self.expansion, (1, 1), use_bias=False, name="expand")(hidden)
            hidden = nn.relu6(BatchNorm(epsilon=EPSILON, name="expand_norm")(hidden, train=train))
        hidden = DepthwiseConv(self.kernel_size, self.stride, name="depthwise")(hidden)
        hidden = nn.relu6(BatchNorm(epsilon=EPSILON, name="depthwise_norm")(hidden, train=train))
        hidden = Conv(self.features, (1, 1), use_bias=False, name="project")(hidden)
        hidden = BatchNorm(epsilon=EPSILON, name="project_norm")(hidden, train=train)
        return hidden + inputs if hidden.shape == inputs.shape else hidden


class DepthwiseConv(nn.Module):
    """`flax.linen.Conv` with one group per channel, "SAME" padding, no bias, in the form that is fast on the device.

    Attributes:
      kernel_size: k.
      stride: stride of both axes.
      fast: use the sum over taps (True), lax's convolution (False) or whichever is faster on the backend (None).
    """

    kernel_size: int
    stride: int = 1
    fast: bool | None = None

    @nn.compact
    def __call__(self, inputs: Array) -> Array:
        """Map [B, H, W, C] to [B, ceil(H / stride), ceil(W / stride), C]."""
        kernel_shape = (self.kernel_size, self.kernel_size, 1, inputs.shape[-1])
        kernel = self.param("kernel", nn.initializers.lecun_normal(), kernel_shape, jnp.float32)
        strides = (self.stride, self.stride)
        if fast_forms_pay() if self.fast is None else self.fast:
            return _sum_over_taps(inputs, kernel, strides)
        return lax.conv_general_dilated(
            inputs,
            kernel,
            strides,
            "SAME",
            dimension_numbers=DIMENSION_NUMBERS,
            feature_group_count=inputs.shape[-1],
        )


def _sum_over_taps(inputs: Array, kernel: Array, strides: tuple[int, int]) -> Array:
    """Compute y[i, j] = sum_{p, q} x[s i + p, s j + q] w[p, q], tap by tap.

    On a CPU this is 4 to 60 times faster than XLA's grouped convolution.
    """
    pads = lax.padtype_to_pads(inputs.shape[1:3], kernel.shape[:2], strides, "SAME")
    padded = jnp.pad(inputs, ((0, 0), *pads, (0, 0)))
    rows, columns = (-(-length // stride) for length, stride in zip(inputs.shape[1:3], strides, strict=True))

    def window(tap: int, size: int, stride: int) -> slice:
        return slice(tap, tap + (size - 1) * stride + 1, stride)

    return total(
        padded[:, window(p, rows, strides[0]), window(q, columns, strides[1])] * kernel[p, q, 0]
        for p, q in np.ndindex(kernel.shape[:2])
    )
