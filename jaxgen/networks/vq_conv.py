"""The convolutional encoder and decoder of VQ-VAE (van den Oord et al. 2017, arXiv:1711.00937, section 4.1)."""

import flax.linen as nn
from jax import Array

from jaxgen.networks.layers.convolution.conv import Conv, ConvTranspose


class ResidualBlock(nn.Module):
    """x + 1x1(ReLU(3x3(ReLU(x)))).

    Attributes:
      width: channels between the two convolutions.
    """

    width: int

    @nn.compact
    def __call__(self, inputs: Array) -> Array:
        """[B, H, W, C] -> [B, H, W, C]."""
        hidden = Conv(self.width, (3, 3))(nn.relu(inputs))
        return inputs + Conv(inputs.shape[-1], (1, 1))(nn.relu(hidden))


class VQEncoder(nn.Module):
    """Images to a grid of vectors: 4x4 convolutions of stride 2, residual blocks, and a 1x1 convolution.

    Attributes:
      code_size: length of the vectors, D.
      width: channels throughout; the paper's is 256.
      residual_width: of the blocks; the paper's is 256.
      residual_blocks: how many; the paper's are 2.
      halvings: how many convolutions of stride 2; the paper's are 2, for 32x32 images and grids of 8x8.
    """

    code_size: int
    width: int = 256
    residual_width: int = 256
    residual_blocks: int = 2
    halvings: int = 2

    @nn.compact
    def __call__(self, images: Array, *, train: bool) -> Array:
        """Images [B, H, W, C] -> [B, H / 2^halvings, W / 2^halvings, D]."""
        hidden = images
        for i in range(self.halvings):
            hidden = Conv(self.width, (4, 4), 2)(hidden)
            hidden = nn.relu(hidden) if i < self.halvings - 1 else hidden  # a block begins with its own ReLU
        for _ in range(self.residual_blocks):
            hidden = ResidualBlock(self.residual_width)(hidden)
        return Conv(self.code_size, (1, 1))(nn.relu(hidden))


class VQDecoder(nn.Module):
    """A grid of vectors to images: a 3x3 convolution, residual blocks, and 4x4 transposed convolutions of stride 2.

    Attributes:
      num_outputs: channels of the last layer, C * P of a likelihood with P parameters; it has no activation.
      width, residual_width, residual_blocks, halvings: as of `VQEncoder`.
    """

    num_outputs: int
    width: int = 256
    residual_width: int = 256
    residual_blocks: int = 2
    halvings: int = 2

    @nn.compact
    def __call__(self, vectors: Array, *, train: bool) -> Array:
        """[B, h, w, D] -> [B, h * 2^halvings, w * 2^halvings, num_outputs]."""
        hidden = Conv(self.width, (3, 3))(vectors)
        for _ in range(self.residual_blocks):
            hidden = ResidualBlock(self.residual_width)(hidden)
        for i in range(self.halvings):
            features = self.num_outputs if i == self.halvings - 1 else self.width
            hidden = ConvTranspose(features, (4, 4), 2)(nn.relu(hidden))
        return hidden
