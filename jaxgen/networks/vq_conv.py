"""The convolutional encoder and decoder of VQ-VAE (van den Oord et al. 2017, arXiv:1711.00937, section 4.1)."""

import flax.linen as nn
from jax import Array

from jaxgen.networks.layers.convolution.conv import Conv, ConvTranspose


class ResidualBlock(nn.Module):
    """A residual block, x + 1x1(ReLU(3x3(ReLU(x)))).

    Attributes:
      width: channels between the two convolutions.
    """

    width: int

    @nn.compact
    def __call__(self, inputs: Array) -> Array:
        """Map [B, H, W, C] to [B, H, W, C]."""
        hidden = Conv(self.width, (3, 3))(nn.relu(inputs))
        return inputs + Conv(inputs.shape[-1], (1, 1))(nn.relu(hidden))


class VQEncoder(nn.Module):
    """Encoder from images to a grid of vectors: 4x4 convolutions of stride 2, residual blocks, and a 1x1 convolution.

    Attributes:
      code_size: length of the vectors, D.
      width: channels throughout; the paper has 256.
      residual_width: channels within the residual blocks; the paper has 256.
      residual_blocks: number of residual blocks; the paper has 2.
      halvings: number of convolutions of stride 2; the paper has 2, for 32x32 images and grids of 8x8.
    """

    code_size: int
    width: int = 256
    residual_width: int = 256
    residual_blocks: int = 2
    halvings: int = 2

    @nn.compact
    def __call__(self, images: Array, *, train: bool) -> Array:
        """Map images [B, H, W, C] to [B, H / 2^halvings, W / 2^halvings, D]."""
        hidden = images
        for i in range(self.halvings):
            hidden = Conv(self.width, (4, 4), 2)(hidden)
            hidden = nn.relu(hidden) if i < self.halvings - 1 else hidden  # a block begins with its own ReLU
        for _ in range(self.residual_blocks):
            hidden = ResidualBlock(self.residual_width)(hidden)
        return Conv(self.code_size, (1, 1))(nn.relu(hidden))


class VQDecoder(nn.Module):
    """Decoder from a grid of vectors to images: a 3x3 convolution, residual blocks, 4x4 transposed convolutions.

    Attributes:
      num_outputs: channels of the last layer, C * P for a likelihood with P parameters; it has no activation.
      width, residual_width, residual_blocks, halvings: as in `VQEncoder`.
    """

    num_outputs: int
    width: int = 256
    residual_width: int = 256
    residual_blocks: int = 2
    halvings: int = 2

    @nn.compact
    def __call__(self, vectors: Array, *, train: bool) -> Array:
        """Map [B, h, w, D] to [B, h * 2^halvings, w * 2^halvings, num_outputs]."""
        hidden = Conv(self.width, (3, 3))(vectors)
        for _ in range(self.residual_blocks):
            hidden = ResidualBlock(self.residual_width)(hidden)
        for i in range(self.halvings):
            features = self.num_outputs if i == self.halvings - 1 else self.width
            hidden = ConvTranspose(features, (4, 4), 2)(nn.relu(hidden))
        return hidden
