"""Shared parts of the training steps in Keras."""

from collections.abc import Sequence

import keras
import tensorflow as tf
from common import Adam


def adam_optimizer(variables: Sequence[keras.Variable], adam: Adam) -> keras.optimizers.Adam:
    optimizer = keras.optimizers.Adam(*adam)
    optimizer.build(variables)
    return optimizer


def scaled(rows: tf.Tensor) -> tf.Tensor:
    """Convert uint8 to float32 in [-1, 1]."""
    return tf.cast(rows, tf.float32) / 127.5 - 1


def through(stack: Sequence[keras.layers.Layer], inputs: keras.KerasTensor) -> keras.KerasTensor:
    for layer in stack:
        inputs = layer(inputs)
    return inputs
