"""Activations that several networks share."""

import flax.linen as nn
from jax import Array


def leaky_relu(inputs: Array) -> Array:
    """Return max(x, 0.2 x), with the slope that DCGAN and its descendants use."""
    return nn.leaky_relu(inputs, 0.2)
