"""The step of a variational autoencoder of binary pixels, as in `jaxgen.models.vae`, in Keras."""

from collections.abc import Callable

import keras
import tensorflow as tf
from common import Adam
from keras_training import adam_optimizer


def vae_step(encoder: keras.Model, decoder: keras.Model, adam: Adam) -> Callable[[tf.Tensor], None]:
    """Return `step(rows uint8 [B, H, W, C])`: binary pixels drawn anew, a closed-form KL term, one latent per image."""
    variables = encoder.trainable_variables + decoder.trainable_variables
    optimizer = adam_optimizer(variables, adam)

    def step(rows: tf.Tensor) -> None:
        probability = tf.cast(rows, tf.float32) / 255
        targets = tf.cast(tf.random.uniform(probability.shape) < probability, tf.float32)
        with tf.GradientTape() as tape:
            mean, log_variance = tf.split(encoder(targets, training=True), 2, -1)
            latents = mean + tf.exp(0.5 * log_variance) * tf.random.normal(mean.shape)
            logits = decoder(latents, training=True)
            reconstruction = tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(targets, logits))
            kl = 0.5 * tf.reduce_sum(tf.square(mean) + tf.exp(log_variance) - 1 - log_variance)
            loss = (reconstruction + kl) / len(rows)
        optimizer.apply(tape.gradient(loss, variables), variables)

    return step
