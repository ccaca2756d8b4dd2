"""DCGAN: convolutional generator, discriminator and encoder (Radford, Metz and Chintala 2016, arXiv:1511.06434)."""

from collections.abc import Callable, Sequence

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from jaxgen.core.errors import UserError
from jaxgen.networks.layers.activations import leaky_relu
from jaxgen.networks.layers.convolution.conv import Conv, ConvTranspose
from jaxgen.networks.layers.normalization import BatchNorm
from jaxgen.networks.layers.sizes import stem_and_doublings
from jaxgen.networks.layers.spectral_norm import spectrally_normalized

KERNEL_SIZE = (5, 5)
STEMS = (4, 7)
INITIALIZER = nn.initializers.normal(0.02)  # the paper's, section 4


class DCGANGenerator(nn.Module):
    """Generator: a Dense stem, then 5x5 transposed convolutions that double the size, and a tanh.

    Sizes 4 * 2^k follow the paper (figure 1): a 4x4 stem and k doublings, the widths halving; 64x64 with base width 128
    is 1024-512-256-128. Sizes 7 * 2^k start at 7x7 with one more layer of stride 1: 28x28 with base width 64 is
    256-128-64. Batch norm follows every layer but the last.

    Attributes:
      image_shape: (H, W, C), square.
      base_width: channels of the last hidden layer; the paper's is 128.
      widths: channels of the stem and of each hidden layer; None: derived from `base_width`.
      activation: activation of the hidden layers; None: ReLU for sizes 4 * 2^k as in the paper, leaky ReLU of slope 0.2
        for 7 * 2^k.
      output_activation: activation of the last layer; None (a decoder of likelihood parameters): no activation.
    """

    image_shape: tuple[int, int, int] = (28, 28, 1)
    base_width: int = 64
    widths: Sequence[int] | None = None
    activation: Callable[[Array], Array] | None = None
    output_activation: Callable[[Array], Array] | None = jnp.tanh

    @nn.compact
    def __call__(self, latents: Array, *, train: bool) -> Array:
        """Map [B, L] to images [B, H, W, C], in [-1, 1] for the default `output_activation`.

        Raises:
          UserError: the image size is not 4 * 2^k or 7 * 2^k, or `widths` does not have one width for each layer.
        """
        stem, doublings = stem_and_doublings(self.image_shape, STEMS, "A DCGAN")
        strides = [1] + [2] * doublings if stem == 7 else [2] * doublings
        widths = self.widths or [self.base_width * 2**i for i in reversed(range(len(strides)))]
        if len(widths) != len(strides):
            size = self.image_shape[0]
            raise UserError(f"A DCGAN for images of size {size} takes {len(strides)} widths, not {len(widths)}.")
        activation = self.activation or (nn.relu if stem == 4 else leaky_relu)

        hidden = nn.Dense(stem * stem * widths[0], use_bias=False, kernel_init=INITIALIZER)(latents)
        hidden = hidden.reshape(-1, stem, stem, widths[0])
        for width, stride in zip(widths[1:], strides, strict=False):
            hidden = activation(BatchNorm()(hidden, train=train))
            hidden = ConvTranspose(width, KERNEL_SIZE, stride, use_bias=False, kernel_init=INITIALIZER)(hidden)
        hidden = activation(BatchNorm()(hidden, train=train))
        images = ConvTranspose(self.image_shape[-1], KERNEL_SIZE, strides[-1], kernel_init=INITIALIZER)(hidden)
        return images if self.output_activation is None else self.output_activation(images)


class DCGANEncoder(nn.Module):
    """Encoder from images to vectors: 5x5 convolutions of stride 2 with leaky ReLU of slope 0.2, then Dense.

    Attributes:
      num_outputs: length of the vectors, N.
      image_shape: (H, W, C), square, of size 4 * 2^k or 7 * 2^k.
      base_width: channels of the first layer, doubled at each layer.
      widths: channels of each layer; None: derived from `base_width`. If there are more widths than halvings down to
        the stem's 4x4 or 7x7, the extra layers go on halving.
      batch_norm: whether batch norm follows every convolution but the first; None: yes for sizes 4 * 2^k as in the
        paper, no for 7 * 2^k.
    """

    num_outputs: int
    image_shape: tuple[int, int, int] = (28, 28, 1)
    base_width: int = 64
    widths: Sequence[int] | None = None
    batch_norm: bool | None = None

    @nn.compact
    def __call__(self, images: Array, *, train: bool) -> Array:
        """Map images [B, H, W, C] to [B, N].

        Raises:
          UserError: the image size is not 4 * 2^k or 7 * 2^k.
        """
        return nn.Dense(self.num_outputs, kernel_init=INITIALIZER)(_features(self, images, train=train))


class DCGANDiscriminator(nn.Module):
    """Discriminator from images to logits. Its other attributes and errors are those of `DCGANEncoder`.

    Attributes:
      hidden_width: width of a Dense layer between the last map and the logit; None, as in the paper: no such layer.
      head_outputs: N, outputs besides the logit from the same features (an auxiliary classifier, a code); None: no
        head.
      spectral_norm: whether all layers are spectrally normalized.
    """

    image_shape: tuple[int, int, int] = (28, 28, 1)
    base_width: int = 64
    widths: Sequence[int] | None = None
    batch_norm: bool | None = None
    hidden_width: int | None = None
    head_outputs: int | None = None
    spectral_norm: bool = False

    @nn.compact
    def __call__(self, images: Array, *, train: bool) -> Array | tuple[Array, Array]:
        """Map images [B, H, W, C] to logits [B], and the head\'s outputs [B, N] if it has one."""

        def dense(width: int, hidden: Array) -> Array:
            layer = nn.Dense(width, kernel_init=INITIALIZER)
            return spectrally_normalized(layer, train=train, enabled=self.spectral_norm)(hidden)

        hidden = _features(self, images, self.spectral_norm, train=train)
        if self.hidden_width is not None:
            hidden = leaky_relu(dense(self.hidden_width, hidden))
        logits = dense(1, hidden)[:, 0]
        return logits if self.head_outputs is None else (logits, dense(self.head_outputs, hidden))


def _features(
    module: DCGANEncoder | DCGANDiscriminator, images: Array, spectral_norm: bool = False, *, train: bool
) -> Array:
    """Apply the convolutions that encoder and discriminator share, from [B, H, W, C] to [B, F]."""
    stem, halvings = stem_and_doublings(module.image_shape, STEMS, "A DCGAN")
    widths = module.widths or [module.base_width * 2**i for i in range(halvings)]
    batch_norm = stem == 4 if module.batch_norm is None else module.batch_norm

    hidden = images
    for i, width in enumerate(widths):
        normed = batch_norm and i > 0
        layer = Conv(width, KERNEL_SIZE, 2, use_bias=not normed, kernel_init=INITIALIZER)
        hidden = spectrally_normalized(layer, train=train, enabled=spectral_norm)(hidden)
        if normed:
            hidden = BatchNorm()(hidden, train=train)
        hidden = leaky_relu(hidden)
    return hidden.reshape(hidden.shape[0], -1)
