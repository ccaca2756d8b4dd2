"""The noise level, and what an image is of, as one vector."""

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from jaxgen.networks.layers.embedding import look_up, sinusoids


class NoiseEmbedding(nn.Module):
    """Sinusoids of the label of noise, two layers, and a vector for each class, or of a caption, added to them.

    Attributes:
      size: E.
      num_classes: K: labels in 0..K, K for no class; None: there are none.
    """

    size: int
    num_classes: int | None = None

    @nn.compact
    def __call__(self, noise_labels: Array, *condition: Array) -> Array:
        """Labels of noise [B], about -2 to 2, and labels int [B] with classes, or else vectors [B, D] -> [B, E]."""
        hidden = nn.silu(nn.Dense(self.size, name="dense_0")(sinusoids(noise_labels, self.size // 2)))
        embedding = nn.Dense(self.size, name="dense_1")(hidden)
        if self.num_classes is not None:
            table = self.param("classes", nn.initializers.normal(0.02), (self.num_classes + 1, self.size), jnp.float32)
            embedding = embedding + look_up(table, *condition)
        elif condition:
            embedding = embedding + nn.Dense(self.size, name="condition")(*condition)
        return nn.silu(embedding)
