"""Fully connected generator, discriminator and encoder."""

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from jaxgen.networks.activations import leaky_relu
from jaxgen.networks.normalisation import BatchNorm


class MLPGenerator(nn.Module):
    """Latents to images through Dense layers with leaky ReLU of slope 0.2 (as Goodfellow et al. 2014, arXiv:1406.2661).

    Attributes:
      image_shape: (H, W, C).
      widths: of the hidden layers.
      batch_norm: whether batch norm stands before each hidden layer's activation.
    """

    image_shape: tuple[int, int, int] = (28, 28, 1)
    widths: Sequence[int] = (128, 256, 512, 1024)
    batch_norm: bool = False

    @nn.compact
    def __call__(self, latents: Array, *, train: bool) -> Array:
        """[B, L] -> images [B, H, W, C] in [-1, 1]."""
        height, width, channels = self.image_shape
        hidden = _hidden_layers(latents, self.widths, self.batch_norm, train=train)
        return jnp.tanh(nn.Dense(height * width * channels)(hidden)).reshape(-1, height, width, channels)


class MLPEncoder(nn.Module):
    """Images to vectors through Dense layers with leaky ReLU of slope 0.2.

    Attributes:
      num_outputs: length of the vectors, N.
      widths: of the hidden layers.
      batch_norm: whether batch norm stands before each hidden layer's activation.
    """

    num_outputs: int
    widths: Sequence[int] = (512, 256, 128)
    batch_norm: bool = False

    @nn.compact
    def __call__(self, images: Array, *, train: bool) -> Array:
        """Images [B, H, W, C] -> [B, N]."""
        pixels = images.reshape(images.shape[0], -1)
        return nn.Dense(self.num_outputs)(_hidden_layers(pixels, self.widths, self.batch_norm, train=train))


class MLPDiscriminator(nn.Module):
    """Images to logits through Dense layers with leaky ReLU of slope 0.2. It has no batch norm.

    Attributes:
      widths: of the hidden layers.
    """

    widths: Sequence[int] = (512, 256, 128)

    @nn.compact
    def __call__(self, images: Array, *, train: bool) -> Array:
        """Images [B, H, W, C] -> logits [B]."""
        pixels = images.reshape(images.shape[0], -1)
        return nn.Dense(1)(_hidden_layers(pixels, self.widths, batch_norm=False, train=train))[:, 0]


def _hidden_layers(hidden: Array, widths: Sequence[int], batch_norm: bool, *, train: bool) -> Array:
    for width in widths:
        hidden = nn.Dense(width, use_bias=not batch_norm)(hidden)
        if batch_norm:
            hidden = BatchNorm()(hidden, train=train)
        hidden = leaky_relu(hidden)
    return hidden
