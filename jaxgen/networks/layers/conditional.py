"""Generators and discriminators given a class (conditional GAN: Mirza and Osindero 2014, arXiv:1411.1784)."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array


class ConditionalGenerator(nn.Module):
    """A generator whose latents are concatenated with the one-hot class.

    Attributes:
      generator: `generator(latents [B, L + K], train=...) -> images`.
      num_classes: K.
    """

    generator: nn.Module
    num_classes: int

    @nn.compact
    def __call__(self, latents: Array, labels: Array, *, train: bool) -> Array:
        """Map latents [B, L] and labels int [B] to images [B, H, W, C]."""
        classes = jax.nn.one_hot(labels, self.num_classes, dtype=latents.dtype)
        return self.generator(jnp.concatenate([latents, classes], -1), train=train)


class ConditionalDiscriminator(nn.Module):
    """A discriminator whose images get one more channel: a learned map of the class.

    Attributes:
      discriminator: `discriminator(images [B, H, W, C + 1], train=...) -> logits [B]`.
      num_classes: K.
    """

    discriminator: nn.Module
    num_classes: int

    @nn.compact
    def __call__(self, images: Array, labels: Array, *, train: bool) -> Array:
        """Map images [B, H, W, C] and labels int [B] to logits [B]."""
        height, width = images.shape[1:3]
        pictures = nn.Embed(self.num_classes, height * width)(labels)
        pictures = pictures.reshape(-1, height, width, 1).astype(images.dtype)
        return self.discriminator(jnp.concatenate([images, pictures], -1), train=train)
