"""Fully connected generator, discriminator and encoder."""

import functools
from collections.abc import Callable, Sequence

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from jaxgen.networks.layers.activations import leaky_relu
from jaxgen.networks.layers.normalization import BatchNorm
from jaxgen.networks.layers.spectral_norm import spectrally_normalized


class MLPGenerator(nn.Module):
    """Generator of Dense layers with leaky ReLU of slope 0.2 (as in Goodfellow et al. 2014, arXiv:1406.2661).

    Attributes:
      image_shape: (H, W, C).
      widths: widths of the hidden layers.
      batch_norm: whether batch norm is applied before each hidden layer's activation.
      activation: activation of the hidden layers.
      output_activation: activation of the last layer; None (a decoder of likelihood parameters): no activation.
    """

    image_shape: tuple[int, int, int] = (28, 28, 1)
    widths: Sequence[int] = (128, 256, 512, 1024)
    batch_norm: bool = False
    activation: Callable[[Array], Array] = leaky_relu
    output_activation: Callable[[Array], Array] | None = jnp.tanh

    @nn.compact
    def __call__(self, latents: Array, *, train: bool) -> Array:
        """Map [B, L] to images [B, H, W, C], in [-1, 1] for the default `output_activation`."""
        height, width, channels = self.image_shape
        hidden = _hidden_layers(latents, self.widths, self.activation, self.batch_norm, train=train)
        outputs = nn.Dense(height * width * channels)(hidden)
        outputs = outputs if self.output_activation is None else self.output_activation(outputs)
        return outputs.reshape(-1, height, width, channels)


class MLPEncoder(nn.Module):
    """Encoder from images to vectors: Dense layers with leaky ReLU of slope 0.2.

    Attributes:
      num_outputs: length of the vectors, N.
      widths: widths of the hidden layers.
      batch_norm: whether batch norm is applied before each hidden layer's activation.
      activation: activation of the hidden layers.
    """

    num_outputs: int
    widths: Sequence[int] = (512, 256, 128)
    batch_norm: bool = False
    activation: Callable[[Array], Array] = leaky_relu

    @nn.compact
    def __call__(self, images: Array, *, train: bool) -> Array:
        """Map images [B, H, W, C] to [B, N]."""
        pixels = images.reshape(images.shape[0], -1)
        outputs = nn.Dense(self.num_outputs)  # created first, so that it keeps its name in existing checkpoints
        return outputs(_hidden_layers(pixels, self.widths, self.activation, self.batch_norm, train=train))


class MLPDiscriminator(nn.Module):
    """Discriminator from images to logits: Dense layers with leaky ReLU of slope 0.2, without batch norm.

    Attributes:
      widths: widths of the hidden layers.
      head_outputs: N, outputs besides the logit from the same last hidden layer (an auxiliary classifier, a code);
        None: no head.
      spectral_norm: whether all layers are spectrally normalized.
    """

    widths: Sequence[int] = (512, 256, 128)
    head_outputs: int | None = None
    spectral_norm: bool = False

    @nn.compact
    def __call__(self, images: Array, *, train: bool) -> Array | tuple[Array, Array]:
        """Map images [B, H, W, C] to logits [B], and the head\'s outputs [B, N] if it has one."""
        pixels = images.reshape(images.shape[0], -1)
        normalized = functools.partial(spectrally_normalized, train=train, enabled=self.spectral_norm)
        outputs = normalized(nn.Dense(1))  # created first, so that it keeps its name in existing checkpoints
        hidden = pixels
        for width in self.widths:
            hidden = leaky_relu(normalized(nn.Dense(width))(hidden))
        logits = outputs(hidden)[:, 0]
        return logits if self.head_outputs is None else (logits, normalized(nn.Dense(self.head_outputs))(hidden))


def _hidden_layers(
    hidden: Array, widths: Sequence[int], activation: Callable[[Array], Array], batch_norm: bool, *, train: bool
) -> Array:
    for width in widths:
        hidden = nn.Dense(width, use_bias=not batch_norm)(hidden)
        if batch_norm:
            hidden = BatchNorm()(hidden, train=train)
        hidden = activation(hidden)
    return hidden
