"""SNGAN's residual networks (Miyato et al. 2018, arXiv:1802.05957, appendix B.4, tables 4 to 6).

With labels they are the networks of the projection discriminator's paper (Miyato and Koyama 2018, arXiv:1802.05637);
with attention and spectral normalization in both networks they are those of SAGAN (Zhang et al. 2019,
arXiv:1805.08318).
"""

import functools

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from jaxgen.networks.layers.attention import SelfAttention
from jaxgen.networks.layers.convolution.conv import Conv
from jaxgen.networks.layers.normalization import BatchNorm, ConditionalBatchNorm
from jaxgen.networks.layers.residual import GLOROT, STEMS, DownBlock, ProjectionHead, UpBlock, place_of_attention
from jaxgen.networks.layers.sizes import stem_and_doublings
from jaxgen.networks.layers.spectral_norm import spectrally_normalized

LARGEST_SMALL = 32
"""Largest image size that takes the architecture of table 4, where all maps have equally many channels."""


class SNGANGenerator(nn.Module):
    """Generator: a Dense stem, residual blocks that double the size, batch norm, ReLU, 3x3 convolution, tanh.

    The smallest map is 4x4, 6x6 or 7x7, so that images may have size 4 * 2^k, 6 * 2^k or 7 * 2^k: 32x32 has three
    blocks (table 4), 28x28 two. Up to 32x32 every map has `width` channels. In larger images the last map has `width`
    channels, doubled at each block toward the stem up to 16 times as many (48x48: table 5, 128x128: table 6).

    Attributes:
      image_shape: (H, W, C), square.
      width: base number of channels; None: the papers', 256 up to 32x32 and 64 above.
      num_classes: K, for class-conditional batch norm in the blocks; None: no labels.
      attention_size: size of the map to which self-attention is applied; None: no attention.
      spectral_norm: whether the layers are spectrally normalized.
    """

    image_shape: tuple[int, int, int] = (32, 32, 3)
    width: int | None = None
    num_classes: int | None = None
    attention_size: int | None = None
    spectral_norm: bool = False

    @nn.compact
    def __call__(self, latents: Array, *condition: Array, train: bool) -> Array:
        """Map latents [B, L], and labels int [B] with `num_classes`, to images [B, H, W, C] in [-1, 1].

        Raises:
          UserError: the image size is not supported, or no map has `attention_size`.
        """
        stem, doublings = stem_and_doublings(self.image_shape, STEMS, "A residual GAN")
        small = self.image_shape[0] <= LARGEST_SMALL
        width = self.width or (256 if small else 64)
        widths = [width if small else width * min(2**i, 16) for i in range(doublings, -1, -1)]
        attention = place_of_attention(self.attention_size, [stem << (i + 1) for i in range(doublings)])
        norm = BatchNorm
        if self.num_classes is not None:
            norm = functools.partial(ConditionalBatchNorm, self.num_classes)
        normalized = functools.partial(spectrally_normalized, train=train, enabled=self.spectral_norm)

        hidden = normalized(nn.Dense(stem * stem * widths[0], kernel_init=GLOROT))(latents)
        hidden = hidden.reshape(-1, stem, stem, widths[0])
        for i, features in enumerate(widths[1:]):
            hidden = UpBlock(features, norm, self.spectral_norm)(hidden, *condition, train=train)
            if i == attention:
                hidden = SelfAttention(self.spectral_norm)(hidden, train=train)
        hidden = nn.relu(BatchNorm()(hidden, train=train))
        return jnp.tanh(normalized(Conv(self.image_shape[-1], (3, 3), kernel_init=GLOROT))(hidden))


class SNGANDiscriminator(nn.Module):
    """Discriminator from images to logits: residual blocks, ReLU, the sum over all pixels, a Dense layer.

    Up to 32x32 there are two blocks that halve the size and two that do not, of `width` channels (table 4). For larger
    images as many blocks halve the size as double it in the generator (for 48x48 and 64x64 one more), with `width`
    channels in the first and twice as many in each that follows, up to 16 times. They are followed by one block without
    halving (except for 64x64, as in the projection discriminator's code).

    Attributes:
      image_shape: (H, W, C), square.
      width: base number of channels; None: the papers', 128 up to 32x32 and 64 above.
      num_classes: K, for a projection of the features on the label's embedding; None: no labels.
      head_outputs: N, outputs besides the logit from the same features (an auxiliary classifier, a code); None: no
        head.
      attention_size: size of the map to which self-attention is applied; None: no attention.
      spectral_norm: whether the layers are spectrally normalized.
    """

    image_shape: tuple[int, int, int] = (32, 32, 3)
    width: int | None = None
    num_classes: int | None = None
    head_outputs: int | None = None
    attention_size: int | None = None
    spectral_norm: bool = True

    @nn.compact
    def __call__(self, images: Array, *condition: Array, train: bool) -> Array | tuple[Array, Array]:
        """Map images [B, H, W, C], and labels int [B] with `num_classes`, to logits [B] and the head's outputs [B, N].

        Raises:
          UserError: the image size is not one of `SNGANGenerator`'s, or no map has `attention_size`.
        """
        size = self.image_shape[0]
        _, doublings = stem_and_doublings(self.image_shape, STEMS, "A residual GAN")
        if size <= LARGEST_SMALL:
            halvings, widths = 2, [self.width or 128] * 4
        else:
            halvings = doublings + (size in (48, 64))
            widths = [(self.width or 64) * min(2**i, 16) for i in range(halvings + (size != 64))]
        sizes = [size >> min(i + 1, halvings) for i in range(len(widths))]
        attention = place_of_attention(self.attention_size, sizes)

        hidden = images
        for i, features in enumerate(widths):
            block = DownBlock(features, downsample=i < halvings, first=i == 0, spectral_norm=self.spectral_norm)
            hidden = block(hidden, train=train)
            if i == attention:
                hidden = SelfAttention(self.spectral_norm)(hidden, train=train)
        return ProjectionHead(self.num_classes, self.head_outputs, self.spectral_norm)(hidden, *condition, train=train)
