"""BigGAN (Brock, Donahue and Simonyan 2019, arXiv:1809.11096, appendix B)."""

import functools

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from jaxgen.core.errors import UserError
from jaxgen.networks.layers.attention import SelfAttention
from jaxgen.networks.layers.convolution.conv import Conv
from jaxgen.networks.layers.normalization import BatchNorm, ConditionalBatchNorm
from jaxgen.networks.layers.residual import STEMS, DownBlock, Initializer, ProjectionHead, UpBlock, place_of_attention
from jaxgen.networks.layers.sizes import stem_and_doublings
from jaxgen.networks.layers.spectral_norm import spectrally_normalized

# Channels in multiples of `width`: of the stem and after each block of the generator, and after each block of the
# discriminator, whose last block does not halve the size. Tables 4 to 6 and, for 64x64, the authors' PyTorch code.
GENERATOR_WIDTHS = {64: (16, 16, 8, 4, 2), 128: (16, 16, 8, 4, 2, 1), 256: (16, 16, 8, 8, 4, 2, 1)}
DISCRIMINATOR_WIDTHS = {64: (1, 2, 4, 8, 16), 128: (1, 2, 4, 8, 16, 16), 256: (1, 2, 4, 8, 8, 16, 16)}
LARGEST_SMALL = 32
"""Largest image size that takes the CIFAR-10 architecture: equal channels everywhere, two halvings in D."""
SMALL_MULTIPLE = 4
"""Multiple of `width` that gives the number of channels in the networks for small images."""


class BigGANGenerator(nn.Module):
    """Generator from latents and labels to images; every residual block is conditioned on both.

    The latents are split into equal chunks (hierarchical latents, figure 15). The first chunk goes to the Dense stem.
    Each other chunk is concatenated with a class embedding shared by all blocks; from this vector come the gains and
    biases of one block's norms.

    Attributes:
      image_shape: (H, W, C): square, of size 64, 128 or 256, or 4 * 2^k, 6 * 2^k or 7 * 2^k up to 32.
      width: the channel multiplier: 96 in the paper, 64 for CIFAR-10 in the authors' PyTorch code.
      num_classes: K.
      shared_size: length of the shared embedding; None, as in the authors' code for CIFAR-10: every norm has its own
        gains and biases for each class, and all latents go to the stem.
      attention_size: size of the map to which self-attention is applied, 64 for 128x128 images in the paper; None: no
        attention.
      spectral_norm: whether the layers are spectrally normalized; the embedding never is.
      kernel_init: initializer of all weights.
    """

    image_shape: tuple[int, int, int] = (32, 32, 3)
    width: int = 64
    num_classes: int = 10
    shared_size: int | None = 128
    attention_size: int | None = None
    spectral_norm: bool = True
    kernel_init: Initializer = nn.initializers.orthogonal()

    @nn.compact
    def __call__(self, latents: Array, labels: Array, *, train: bool) -> Array:
        """Map latents [B, L] and labels int [B] to images [B, H, W, C] in [-1, 1].

        Raises:
          UserError: the image size is not supported, no map has `attention_size`, or L cannot be split evenly.
        """
        stem, doublings = _plan(self.image_shape, GENERATOR_WIDTHS)
        widths = [
            self.width * m for m in GENERATOR_WIDTHS.get(self.image_shape[0], (SMALL_MULTIPLE,) * (doublings + 1))
        ]
        attention = place_of_attention(self.attention_size, [stem << (i + 1) for i in range(doublings)])
        normalized = functools.partial(spectrally_normalized, train=train, enabled=self.spectral_norm)
        if self.shared_size is None:
            norm = functools.partial(ConditionalBatchNorm, self.num_classes)
            conditions = [labels] * doublings
        else:
            norm = functools.partial(
                ConditionalBatchNorm, spectral_norm=self.spectral_norm, kernel_init=self.kernel_init
            )
            if latents.shape[-1] % (doublings + 1):
                raise UserError(
                    f"{latents.shape[-1]} latents cannot be split between the stem and {doublings} blocks of this "
                    f"BigGAN: choose a multiple of {doublings + 1}."
                )
            classes = nn.Embed(self.num_classes, self.shared_size, embedding_init=self.kernel_init)(labels)
            latents, *chunks = jnp.split(latents, doublings + 1, -1)
            conditions = [jnp.concatenate([classes, chunk], -1) for chunk in chunks]

        hidden = normalized(nn.Dense(stem * stem * widths[0], kernel_init=self.kernel_init))(latents)
        hidden = hidden.reshape(-1, stem, stem, widths[0])
        for i, (features, condition) in enumerate(zip(widths[1:], conditions, strict=True)):
            block = UpBlock(features, norm, self.spectral_norm, self.kernel_init, self.kernel_init)
            hidden = block(hidden, condition, train=train)
            if i == attention:
                hidden = SelfAttention(self.spectral_norm, self.kernel_init)(hidden, train=train)
        hidden = nn.relu(BatchNorm()(hidden, train=train))
        return jnp.tanh(normalized(Conv(self.image_shape[-1], (3, 3), kernel_init=self.kernel_init))(hidden))


class BigGANDiscriminator(nn.Module):
    """Projection discriminator: residual blocks, ReLU, the sum over all pixels, a logit that depends on the label.

    Attributes:
      image_shape, width, num_classes, attention_size, spectral_norm, kernel_init: as in `BigGANGenerator`; the label's
        embedding is spectrally normalized too.
      small_multiple: multiple of `width` for images up to 32x32: 4 in the authors' PyTorch code, 2 in StudioGAN.
    """

    image_shape: tuple[int, int, int] = (32, 32, 3)
    width: int = 64
    num_classes: int = 10
    attention_size: int | None = None
    spectral_norm: bool = True
    kernel_init: Initializer = nn.initializers.orthogonal()
    small_multiple: int = SMALL_MULTIPLE

    @nn.compact
    def __call__(self, images: Array, labels: Array, *, train: bool) -> Array:
        """Map images [B, H, W, C] and labels int [B] to logits [B].

        Raises:
          UserError: the image size is not one of `BigGANGenerator`'s, or no map has `attention_size`.
        """
        size = self.image_shape[0]
        _plan(self.image_shape, DISCRIMINATOR_WIDTHS)
        widths = [self.width * m for m in DISCRIMINATOR_WIDTHS.get(size, (self.small_multiple,) * 4)]
        halvings = 2 if size <= LARGEST_SMALL else len(widths) - 1
        sizes = [size >> min(i + 1, halvings) for i in range(len(widths))]
        attention = place_of_attention(self.attention_size, sizes)

        hidden = images
        for i, features in enumerate(widths):
            block = DownBlock(
                features, i < halvings, i == 0, True, self.spectral_norm, self.kernel_init, self.kernel_init
            )
            hidden = block(hidden, train=train)
            if i == attention:
                hidden = SelfAttention(self.spectral_norm, self.kernel_init)(hidden, train=train)
        head = ProjectionHead(self.num_classes, None, self.spectral_norm, self.kernel_init)
        logits = head(hidden, labels, train=train)
        assert isinstance(logits, Array)  # the head has no other outputs
        return logits


def _plan(image_shape: tuple[int, int, int], widths: dict[int, tuple[int, ...]]) -> tuple[int, int]:
    """Return `stem_and_doublings` for an image size for which BigGAN defines widths."""
    stem, doublings = stem_and_doublings(image_shape, STEMS, "A residual GAN")
    size = image_shape[0]
    if size > LARGEST_SMALL and size not in widths:
        raise UserError(f"A BigGAN has no plan for images of {size}x{size}: use 64, 128 or 256, or at most 32.")
    return stem, doublings
