"""The residual blocks of GANs (Miyato et al. 2018, arXiv:1802.05957, appendix B.4), shared by SNGAN and BigGAN.

A 1x1 convolution and resizing by averaging or repeating pixels commute. The shortcuts here convolve where the map is
small, whichever order a paper's code has.
"""

from collections.abc import Callable
from typing import Literal

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from jaxgen.core.errors import UserError
from jaxgen.networks.layers.convolution.conv import Conv
from jaxgen.networks.layers.normalization import BatchNorm
from jaxgen.networks.layers.resampling import average_pool, upsample
from jaxgen.networks.layers.spectral_norm import spectrally_normalized

Initializer = nn.initializers.Initializer

STEMS = (4, 6, 7)
"""Supported sizes of the smallest map of a residual GAN."""
GLOROT = nn.initializers.glorot_uniform()
GLOROT_FOR_RELU = nn.initializers.variance_scaling(2.0, "fan_avg", "uniform")
"""Glorot initialization with a gain of sqrt(2), as in SNGAN's code inside its residual branches."""


class UpBlock(nn.Module):
    """A generator's residual block, twice the size: norm, ReLU, upsampling, 3x3, norm, ReLU, 3x3; and a 1x1 shortcut.

    The convolutions have no biases: they would shift whole channels, which every norm after them removes.

    Attributes:
      features: channels of the output, F.
      norm: function that makes a norm layer, which is called as `layer(inputs, *condition, train=...)`.
      spectral_norm: whether the convolutions are spectrally normalized.
      kernel_init, shortcut_init: initializers of the residual branch and of the shortcut.
    """

    features: int
    norm: Callable[[], nn.Module] = BatchNorm
    spectral_norm: bool = False
    kernel_init: Initializer = GLOROT_FOR_RELU
    shortcut_init: Initializer = GLOROT

    @nn.compact
    def __call__(self, inputs: Array, *condition: Array, train: bool) -> Array:
        """Map [B, H, W, C] and the condition of the norms to [B, 2 H, 2 W, F]."""

        def conv(size: int, init: Initializer, inputs: Array, resample: Literal["up"] | None = None) -> Array:
            layer = Conv(self.features, (size, size), use_bias=False, kernel_init=init, resample=resample)
            return spectrally_normalized(layer, train=train, enabled=self.spectral_norm)(inputs)

        hidden = nn.relu(self.norm()(inputs, *condition, train=train))
        hidden = conv(3, self.kernel_init, hidden, "up")
        hidden = nn.relu(self.norm()(hidden, *condition, train=train))
        hidden = conv(3, self.kernel_init, hidden)
        return hidden + upsample(conv(1, self.shortcut_init, inputs))


class DownBlock(nn.Module):
    """A discriminator's residual block: ReLU, 3x3, ReLU, 3x3, average pooling; and a shortcut.

    The shortcut is a 1x1 convolution if the size or the number of channels changes, and otherwise the inputs.

    Attributes:
      features: channels of the output, F.
      downsample: whether the size is halved.
      first: whether the inputs are images, so that there is no ReLU before the first convolution.
      wide: whether the first convolution has F channels, as in BigGAN (and whenever `first` is set), or as many as the
        inputs, as in SNGAN.
      spectral_norm: whether the convolutions are spectrally normalized.
      kernel_init, shortcut_init: initializers of the residual branch and of the shortcut.
    """

    features: int
    downsample: bool = True
    first: bool = False
    wide: bool = False
    spectral_norm: bool = True
    kernel_init: Initializer = GLOROT_FOR_RELU
    shortcut_init: Initializer = GLOROT

    @nn.compact
    def __call__(self, inputs: Array, *, train: bool) -> Array:
        """Map [B, H, W, C] to [B, H', W', F] with H' = H // 2, or H without `downsample`."""

        def conv(
            features: int, size: int, init: Initializer, inputs: Array, resample: Literal["down"] | None = None
        ) -> Array:
            layer = Conv(features, (size, size), kernel_init=init, resample=resample)
            return spectrally_normalized(layer, train=train, enabled=self.spectral_norm)(inputs)

        channels = inputs.shape[-1]
        hidden = inputs if self.first else nn.relu(inputs)
        hidden = conv(self.features if self.wide or self.first else channels, 3, self.kernel_init, hidden)
        hidden = conv(self.features, 3, self.kernel_init, nn.relu(hidden), "down" if self.downsample else None)
        shortcut = average_pool(inputs) if self.downsample else inputs
        if self.downsample or channels != self.features:
            shortcut = conv(self.features, 1, self.shortcut_init, shortcut)
        return hidden + shortcut


class ProjectionHead(nn.Module):
    """The end of a discriminator: ReLU, the sum over all pixels, and the logit.

    With classes, logit = psi(h) + <embed(y), h> (projection discriminator: Miyato and Koyama 2018, arXiv:1802.05637,
    eq. 3).

    Attributes:
      num_classes: K; None: no labels.
      head_outputs: N, outputs besides the logit from the same features (an auxiliary classifier, a code); None: no
        head.
      spectral_norm: whether the layers are spectrally normalized.
      kernel_init: initializer of the layers.
    """

    num_classes: int | None = None
    head_outputs: int | None = None
    spectral_norm: bool = True
    kernel_init: Initializer = GLOROT

    @nn.compact
    def __call__(self, inputs: Array, *condition: Array, train: bool) -> Array | tuple[Array, Array]:
        """Map [B, H, W, C], and labels int [B] with `num_classes`, to logits [B] and the head's outputs [B, N] if any.

        Raises:
          ValueError: labels are given without `num_classes`, or `num_classes` without labels.
        """
        if len(condition) != (self.num_classes is not None):
            raise ValueError("a discriminator gets labels exactly where it has `num_classes`")

        def normalized(layer: nn.Module) -> Callable[[Array], Array]:
            return spectrally_normalized(layer, train=train, enabled=self.spectral_norm)

        features = nn.relu(inputs).sum((1, 2))  # [B, C]
        logits = normalized(nn.Dense(1, kernel_init=self.kernel_init))(features)[:, 0]
        for labels in condition:
            assert self.num_classes is not None
            embed = nn.Embed(self.num_classes, features.shape[-1], embedding_init=self.kernel_init)
            logits += jnp.sum(normalized(embed)(labels) * features, -1)
        if self.head_outputs is None:
            return logits
        return logits, normalized(nn.Dense(self.head_outputs, kernel_init=self.kernel_init))(features)


def place_of_attention(attention_size: int | None, sizes: list[int]) -> int | None:
    """Return the number of the block after which attention is applied; None: no attention.

    It is the first block whose map has the size, given the `sizes` after each block.

    Raises:
      UserError: no map has that size.
    """
    if attention_size is None:
        return None
    if attention_size not in sizes:
        known = ", ".join(str(size) for size in dict.fromkeys(sizes))
        raise UserError(
            f"There is no map of size {attention_size} for self-attention to stand at: choose one of {known}."
        )
    return sizes.index(attention_size)
