"""Image-to-image networks and the patch discriminator, as in pix2pix (Isola et al. 2017, arXiv:1611.07004, appendix)
and CycleGAN (Zhu et al. 2017, arXiv:1703.10593, appendix).

Convolutions before an instance norm have no biases, which the norm would remove.
"""

from collections.abc import Callable, Sequence

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from jaxgen.networks.layers.activations import leaky_relu
from jaxgen.networks.layers.convolution.conv import Conv, ConvTranspose
from jaxgen.networks.layers.normalization import InstanceNorm
from jaxgen.networks.layers.sizes import check_multiple

NORMAL = nn.initializers.normal(0.02)


class ResNetTranslator(nn.Module):
    """CycleGAN's c7s1-64, d128, d256, residual blocks, u128, u64, c7s1-C: instance norm, ReLU, reflection padding.

    Attributes:
      channels: channels of the outputs, C.
      width: channels at the full size; the papers have 64.
      halvings: how often the size is halved, with twice the channels; the papers have 2.
      blocks: residual blocks at the smallest size; the papers have 6 for 128x128 and 9 from 256x256 on.
      bounded: whether the outputs go through tanh, as in the paper.
      residual: whether the outputs are instead added to the images, starting at zero; the sum, if bounded, is clipped
        to [-1, 1], so that white remains white whatever is added to it.
      norm: whether there are instance norms, as in the papers; without them outputs do not depend on distant pixels,
        and convolutions have biases and the initialization of He et al. 2015 (arXiv:1502.01852).
    """

    channels: int
    width: int = 64
    halvings: int = 2
    blocks: int = 9
    bounded: bool = True
    residual: bool = False
    norm: bool = True

    @nn.compact
    def __call__(self, images: Array, *, train: bool) -> Array:
        """Map [B, H, W, C'] to [B, H, W, C].

        Raises:
          UserError: a side cannot be halved that often.
        """
        del train
        check_multiple(images.shape[1:3], 2**self.halvings)
        inner = {"use_bias": not self.norm, "kernel_init": NORMAL if self.norm else nn.initializers.he_normal()}

        def normed(x: Array) -> Array:
            return InstanceNorm()(x) if self.norm else x

        hidden = nn.relu(normed(_reflected(self.width, 7, images, **inner)))
        for i in range(self.halvings):
            conv = Conv(self.width * 2 ** (i + 1), (3, 3), 2, padding=((1, 1), (1, 1)), **inner)
            hidden = nn.relu(normed(conv(hidden)))
        wide = self.width * 2**self.halvings
        for _ in range(self.blocks):
            branch = nn.relu(normed(_reflected(wide, 3, hidden, **inner)))
            hidden = hidden + normed(_reflected(wide, 3, branch, **inner))
        for i in reversed(range(self.halvings)):
            # Not "SAME", which would shift maps by a pixel each time.
            conv = ConvTranspose(self.width * 2**i, (3, 3), 2, padding=((1, 2), (1, 2)), **inner)
            hidden = nn.relu(normed(conv(hidden)))
        if self.residual:
            outputs = images + _reflected(self.channels, 7, hidden, kernel_init=nn.initializers.zeros)
            return jnp.clip(outputs, -1.0, 1.0) if self.bounded else outputs
        outputs = _reflected(self.channels, 7, hidden)
        return jnp.tanh(outputs) if self.bounded else outputs


class UNetTranslator(nn.Module):
    """The U-Net of pix2pix: 4x4 convolutions of stride 2 down to about one pixel and back up, with skip connections.

    Attributes:
      channels: channels of the outputs, C.
      width: channels at half the size; the paper has 64.
      halvings: how often the size is halved; the paper has 8, for 256x256.
      most: maximum number of channels, in units of `width`; the paper has 8.
      bounded: whether the outputs go through tanh, as in the paper.
    """

    channels: int
    width: int = 64
    halvings: int = 5
    most: int = 8
    bounded: bool = True

    @nn.compact
    def __call__(self, images: Array, *, train: bool) -> Array:
        """Map [B, H, W, C'] to [B, H, W, C].

        Raises:
          UserError: a side cannot be halved that often.
        """
        del train
        check_multiple(images.shape[1:3], 2**self.halvings)
        hidden, skips = images, []
        for i in range(self.halvings):
            hidden = leaky_relu(hidden) if i else hidden
            normed = 0 < i < self.halvings - 1  # no norm of a single pixel, which would be 0
            conv = Conv(self._width(i), (4, 4), 2, use_bias=not normed, kernel_init=NORMAL, name=f"down_{i}")
            hidden = InstanceNorm()(conv(hidden)) if normed else conv(hidden)
            skips.append(hidden)
        skips.pop()
        for i in reversed(range(self.halvings)):
            features = self._width(i - 1) if i else self.channels
            conv = ConvTranspose(features, (4, 4), 2, use_bias=not i, kernel_init=NORMAL, name=f"up_{i}")
            hidden = conv(nn.relu(hidden))
            if i:
                hidden = jnp.concatenate([InstanceNorm()(hidden), skips.pop()], -1)
        return jnp.tanh(hidden) if self.bounded else hidden

    def _width(self, i: int) -> int:
        return self.width * min(2**i, self.most)


class PatchDiscriminator(nn.Module):
    """PatchGAN: C64-C128-C256-C512 of 4x4 convolutions and a logit for each position, with a receptive field of 70x70.

    Every layer but the first has instance norm; activations are leaky ReLU of slope 0.2.

    Attributes:
      width: channels of the first layer; the papers have 64.
      halvings: number of convolutions of stride 2, before two of stride 1; the papers have 3.
    """

    width: int = 64
    halvings: int = 3

    @nn.compact
    def __call__(self, images: Array, *, train: bool) -> Array:
        """Map [B, H, W, C] to logits [B, h, w]."""
        del train
        hidden, padding = images, ((1, 1), (1, 1))
        for i in range(self.halvings + 1):
            stride = 2 if i < self.halvings else 1
            width = self.width * min(2**i, 8)
            hidden = Conv(width, (4, 4), stride, padding, use_bias=not i, kernel_init=NORMAL)(hidden)
            hidden = leaky_relu(InstanceNorm()(hidden) if i else hidden)
        return Conv(1, (4, 4), padding=padding, kernel_init=NORMAL)(hidden)[..., 0]


def _reflected(
    features: int, size: int, inputs: Array, *, use_bias: bool = True, kernel_init: Callable = NORMAL
) -> Array:
    """Apply a convolution to an image padded by reflection at its border pixels."""
    pads: Sequence[tuple[int, int]] = ((0, 0), (size // 2, size // 2), (size // 2, size // 2), (0, 0))
    padded = jnp.pad(inputs, pads, mode="reflect")
    return Conv(features, (size, size), padding="VALID", use_bias=use_bias, kernel_init=kernel_init)(padded)
