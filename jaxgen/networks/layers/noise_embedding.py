"""The embedding of a noise level and a condition."""

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from jaxgen.networks.layers.embedding import look_up, sinusoids


class NoiseEmbedding(nn.Module):
    """Sinusoids of the noise label and two layers, plus the embedding of a class or of a caption.

    Attributes:
      size: E, the length of the embedding.
      num_classes: K; labels are in 0..K, K for no class. None: no labels.
    """

    size: int
    num_classes: int | None = None

    @nn.compact
    def __call__(self, noise_labels: Array, *condition: Array) -> Array:
        """Map noise labels [B], about -2 to 2, and labels int [B] or else vectors [B, D] to [B, E]."""
        hidden = nn.silu(nn.Dense(self.size, name="dense_0")(sinusoids(noise_labels, self.size // 2)))
        embedding = nn.Dense(self.size, name="dense_1")(hidden)
        if self.num_classes is not None:
            table = self.param("classes", nn.initializers.normal(0.02), (self.num_classes + 1, self.size), jnp.float32)
            embedding = embedding + look_up(table, *condition)
        elif condition:
            embedding = embedding + nn.Dense(self.size, name="condition")(*condition)
        return nn.silu(embedding)
