"""A discriminator that also returns the features of its last convolution, by which images can be compared."""

from collections.abc import Sequence

import flax.linen as nn
from jax import Array

from jaxgen.networks.layers.activations import leaky_relu
from jaxgen.networks.layers.convolution.conv import Conv
from jaxgen.networks.layers.normalization import BatchNorm


class FeatureDiscriminator(nn.Module):
    """5x5 convolutions of stride 2, then two Dense layers, as in VAE-GAN (Larsen et al. 2016, table 1).

    Activations are leaky ReLU of slope 0.2.

    Attributes:
      widths: channels of the convolutions; in the paper, for 64x64: a layer of stride 1, then 128, 256, 256.
      hidden_width: width of the Dense layer before the logit; the paper's is 512.
      batch_norm: whether batch norm follows every convolution but the first, as in the paper.
    """

    widths: Sequence[int] = (32, 64)
    hidden_width: int = 128
    batch_norm: bool = False

    @nn.compact
    def __call__(self, images: Array, *, train: bool) -> tuple[Array, Array]:
        """Map images [B, H, W, C] to logits [B] and features [B, F]."""
        hidden = images
        for i, width in enumerate(self.widths):
            normed = self.batch_norm and i > 0
            hidden = Conv(width, (5, 5), 2, use_bias=not normed)(hidden)
            if normed:
                hidden = BatchNorm()(hidden, train=train)
            hidden = leaky_relu(hidden)
        features = hidden.reshape(hidden.shape[0], -1)
        return nn.Dense(1)(leaky_relu(nn.Dense(self.hidden_width)(features)))[:, 0], features
