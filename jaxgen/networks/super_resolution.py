"""SRResNet, the generator of SRGAN, and SRGAN's discriminator (Ledig et al. 2017, arXiv:1609.04802, figure 4)."""

import flax.linen as nn
from jax import Array

from jaxgen.networks.layers.activations import leaky_relu
from jaxgen.networks.layers.convolution.conv import Conv
from jaxgen.networks.layers.normalization import BatchNorm
from jaxgen.networks.layers.resampling import depth_to_space


class SRResNet(nn.Module):
    """Super-resolution network: 9x9, residual blocks at the input's size, log2(`factor`) upsamplings by 2, 9x9.

    A block is x + norm(3x3(PReLU(norm(3x3(x))))). An upsampling is a 3x3 convolution to four times the channels, which
    become pixels (Shi et al. 2016, arXiv:1609.05158), and PReLU.

    Attributes:
      channels: channels of the outputs, C; there is no activation after them.
      factor: 1, or a power of two.
      width: channels throughout; the paper's is 64.
      blocks: number of residual blocks; the paper has 16.
      batch_norm: whether there are norms, as in the paper; without them colors and contrast are preserved more easily
        (Lim et al. 2017, arXiv:1707.02921, section 3.1).
      zero_at_first: whether the last kernel starts at 0, for outputs that are added to something.
    """

    channels: int
    factor: int = 1
    width: int = 64
    blocks: int = 16
    batch_norm: bool = False
    zero_at_first: bool = False

    @nn.compact
    def __call__(self, inputs: Array, *, train: bool) -> Array:
        """Map [B, h, w, C'] to [B, h * factor, w * factor, C].

        Raises:
          ValueError: the factor is not a power of two.
        """
        if self.factor < 1 or self.factor & (self.factor - 1):
            raise ValueError(f"the factor must be a power of two, not {self.factor}")

        def normed(x: Array) -> Array:  # no biases before norms, which would remove them
            hidden = Conv(self.width, (3, 3), use_bias=not self.batch_norm)(x)
            return BatchNorm()(hidden, train=train) if self.batch_norm else hidden

        x = first = nn.PReLU()(Conv(self.width, (9, 9), name="first")(inputs))
        for _ in range(self.blocks):
            x = x + normed(nn.PReLU()(normed(x)))
        x = first + normed(x)
        for _ in range(self.factor.bit_length() - 1):
            x = nn.PReLU()(depth_to_space(Conv(4 * self.width, (3, 3))(x), (2, 2)))
        last_init = nn.initializers.zeros if self.zero_at_first else nn.initializers.lecun_normal()
        return Conv(self.channels, (9, 9), kernel_init=last_init, name="last")(x)


class SRDiscriminator(nn.Module):
    """Pairs of 3x3 convolutions of stride 1 and 2 with twice the channels each time, then two Dense layers.

    Attributes:
      width: channels of the first pair; the paper's is 64.
      pairs: number of pairs; the paper has 4.
      hidden_width: width of the Dense layer before the logit; the paper's is 1024.
    """

    width: int = 64
    pairs: int = 4
    hidden_width: int = 1024

    @nn.compact
    def __call__(self, images: Array, *, train: bool) -> Array:
        """Map [B, H, W, C] to logits [B]."""
        hidden = images
        for i in range(self.pairs):
            for stride in (1, 2):
                first = i == 0 and stride == 1
                hidden = Conv(self.width * 2**i, (3, 3), stride, use_bias=first)(hidden)
                hidden = leaky_relu(hidden if first else BatchNorm()(hidden, train=train))
        hidden = leaky_relu(nn.Dense(self.hidden_width)(hidden.reshape(len(hidden), -1)))
        return nn.Dense(1)(hidden)[:, 0]
