"""The convolutional encoder and decoder of DALL-E's discrete VAE (Ramesh et al. 2021, arXiv:2102.12092, appendix A)."""

import flax.linen as nn
from jax import Array

from jaxgen.networks.layers.convolution.conv import Conv
from jaxgen.networks.layers.resampling import max_pool, upsample

WIDE, POINT = (3, 3), (1, 1)


class BottleneckBlock(nn.Module):
    """A residual block x + gain branch(x); the branch is ReLU and convolution four times, on a quarter of the channels.

    The shortcut has a 1x1 convolution if the number of channels changes.

    Attributes:
      features: channels of the output, F.
      gain: factor of the branch.
      point_first: whether the branch's 1x1 convolution is its first (in decoders) or its last.
    """

    features: int
    gain: float
    point_first: bool

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Map [B, H, W, C] to [B, H, W, F]."""
        sizes = (POINT, WIDE, WIDE, WIDE) if self.point_first else (WIDE, WIDE, WIDE, POINT)
        hidden = x
        for i, size in enumerate(sizes):
            features = self.features if i == len(sizes) - 1 else self.features // 4
            hidden = Conv(features, size, name=f"conv_{i}")(nn.relu(hidden))
        if x.shape[-1] != self.features:
            x = Conv(self.features, POINT, name="shortcut")(x)
        return x + self.gain * hidden


class DVAEEncoder(nn.Module):
    """Encoder from images to a grid of codebook logits: a 7x7 convolution, groups of blocks, 2x2 max pools between
    them.

    Attributes:
      num_codes: K, the number of codes.
      width: channels of the first group; each group has twice as many as the one before.
      groups: number of groups; the size is halved between them.
      blocks: number of blocks in each group.
    """

    num_codes: int
    width: int = 256
    groups: int = 4
    blocks: int = 2

    @nn.compact
    def __call__(self, images: Array, *, train: bool) -> Array:
        """Map images [B, H, W, C] to [B, H / 2^(groups - 1), W / 2^(groups - 1), K]."""
        del train
        hidden = Conv(self.width, (7, 7), name="first")(images)
        for group in range(self.groups):
            hidden = max_pool(hidden) if group else hidden
            for i in range(self.blocks):
                block = BottleneckBlock(self.width * 2**group, _gain(self), False, name=f"block_{group}_{i}")
                hidden = block(hidden)
        return Conv(self.num_codes, POINT, name="last")(nn.relu(hidden))


class DVAEDecoder(nn.Module):
    """Decoder from a grid of codes to images: groups of blocks, with upsampling by 2 between them.

    Attributes:
      num_outputs: channels of the last layer, C * P for a likelihood with P parameters; it has no activation.
      width, groups, blocks: as in `DVAEEncoder`, in reverse order.
    """

    num_outputs: int
    width: int = 256
    groups: int = 4
    blocks: int = 2

    @nn.compact
    def __call__(self, vectors: Array, *, train: bool) -> Array:
        """Map [B, h, w, D] to [B, h * 2^(groups - 1), w * 2^(groups - 1), num_outputs]."""
        del train
        hidden = vectors
        for group in reversed(range(self.groups)):
            for i in range(self.blocks):
                block = BottleneckBlock(self.width * 2**group, _gain(self), True, name=f"block_{group}_{i}")
                hidden = block(hidden)
            hidden = upsample(hidden) if group else hidden
        return Conv(self.num_outputs, POINT, name="last")(nn.relu(hidden))


def _gain(network: DVAEEncoder | DVAEDecoder) -> float:
    """Return 1 / n^2 for n blocks in all, as in the authors' code: a deep network then starts near its shortcuts."""
    return 1.0 / (network.groups * network.blocks) ** 2
