"""The convolutional encoder and decoder of DALL-E's discrete VAE (Ramesh et al. 2021, arXiv:2102.12092, appendix A)."""

import flax.linen as nn
from jax import Array

from jaxgen.networks.layers.convolution.conv import Conv
from jaxgen.networks.layers.resampling import max_pool, upsample

WIDE, POINT = (3, 3), (1, 1)


class BottleneckBlock(nn.Module):
    """x + gain branch, that is ReLU and convolution four times, on a quarter of the channels.

    The shortcut has a 1x1 convolution where the number of channels changes.

    Attributes:
      features: channels of the output, F.
      gain: of the branch.
      point_first: whether the branch's 1x1 convolution is its first (in decoders) or its last.
    """

    features: int
    gain: float
    point_first: bool

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """[B, H, W, C] -> [B, H, W, F]."""
        sizes = (POINT, WIDE, WIDE, WIDE) if self.point_first else (WIDE, WIDE, WIDE, POINT)
        hidden = x
        for i, size in enumerate(sizes):
            features = self.features if i == len(sizes) - 1 else self.features // 4
            hidden = Conv(features, size, name=f"conv_{i}")(nn.relu(hidden))
        if x.shape[-1] != self.features:
            x = Conv(self.features, POINT, name="shortcut")(x)
        return x + self.gain * hidden


class DVAEEncoder(nn.Module):
    """Images to a grid of logits of codes: a 7x7 convolution, and groups of blocks, 2x2 maxima between them.

    Attributes:
      num_codes: K.
      width: channels of the first group; each has twice as many as the one before.
      groups: how many; the size is halved between them.
      blocks: in each.
    """

    num_codes: int
    width: int = 256
    groups: int = 4
    blocks: int = 2

    @nn.compact
    def __call__(self, images: Array, *, train: bool) -> Array:
        """Images [B, H, W, C] -> [B, H / 2^(groups - 1), W / 2^(groups - 1), K]."""
        del train
        hidden = Conv(self.width, (7, 7), name="first")(images)
        for group in range(self.groups):
            hidden = max_pool(hidden) if group else hidden
            for i in range(self.blocks):
                block = BottleneckBlock(self.width * 2**group, _gain(self), False, name=f"block_{group}_{i}")
                hidden = block(hidden)
        return Conv(self.num_codes, POINT, name="last")(nn.relu(hidden))


class DVAEDecoder(nn.Module):
    """A grid of codes to images: groups of blocks with doubling of the size between them.

    Attributes:
      num_outputs: channels of the last layer, C * P of a likelihood with P parameters; it has no activation.
      width, groups, blocks: as of `DVAEEncoder`, from the other end.
    """

    num_outputs: int
    width: int = 256
    groups: int = 4
    blocks: int = 2

    @nn.compact
    def __call__(self, vectors: Array, *, train: bool) -> Array:
        """[B, h, w, D] -> [B, h * 2^(groups - 1), w * 2^(groups - 1), num_outputs]."""
        del train
        hidden = vectors
        for group in reversed(range(self.groups)):
            for i in range(self.blocks):
                block = BottleneckBlock(self.width * 2**group, _gain(self), True, name=f"block_{group}_{i}")
                hidden = block(hidden)
            hidden = upsample(hidden) if group else hidden
        return Conv(self.num_outputs, POINT, name="last")(nn.relu(hidden))


def _gain(network: DVAEEncoder | DVAEDecoder) -> float:
    """1 / n^2 of n blocks in all, as the authors' code has it: at first a deep network then is nearly its shortcuts."""
    return 1.0 / (network.groups * network.blocks) ** 2
