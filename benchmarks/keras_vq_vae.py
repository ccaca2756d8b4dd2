"""VQ-VAE's networks and step, as in `jaxgen.networks.vq_conv` and `jaxgen.models.vq_vae`, in Keras."""

from collections.abc import Callable

import keras
import tensorflow as tf
from common import (
    CODE_SIZE,
    CODEBOOK_DECAY,
    COMMITMENT,
    DATA_VARIANCE,
    NUM_CODES,
    SMOOTHING,
    VQ_BLOCKS,
    VQ_WIDTH,
    Adam,
)
from keras import layers
from keras_training import adam_optimizer, scaled, through


def vq_encoder() -> keras.Model:
    images = layers.Input((32, 32, 3))
    convolutions = [
        layers.Conv2D(VQ_WIDTH, 4, 2, padding="same", activation="relu"),
        layers.Conv2D(VQ_WIDTH, 4, 2, padding="same"),
    ]
    hidden = _blocks(through(convolutions, images))
    return keras.Model(images, layers.Conv2D(CODE_SIZE, 1)(layers.ReLU()(hidden)))


def vq_decoder() -> keras.Model:
    vectors = layers.Input((8, 8, CODE_SIZE))
    hidden = _blocks(layers.Conv2D(VQ_WIDTH, 3, padding="same")(vectors))
    convolutions = [
        layers.ReLU(),
        layers.Conv2DTranspose(VQ_WIDTH, 4, 2, padding="same", activation="relu"),
        layers.Conv2DTranspose(3, 4, 2, padding="same"),
    ]
    return keras.Model(vectors, through(convolutions, hidden))


def _blocks(hidden: keras.KerasTensor) -> keras.KerasTensor:
    for _ in range(VQ_BLOCKS):
        branch = [
            layers.ReLU(),
            layers.Conv2D(VQ_WIDTH, 3, padding="same", activation="relu"),
            layers.Conv2D(VQ_WIDTH, 1),
        ]
        hidden = layers.add([through(branch, hidden), hidden])
    return hidden


def vq_vae_step(encoder: keras.Model, decoder: keras.Model, adam: Adam) -> Callable[[tf.Tensor], None]:
    """Return `step(rows uint8 [B, H, W, C])`: squared error over the data's variance, codes as running means."""
    variables = encoder.trainable_variables + decoder.trainable_variables
    optimizer = adam_optimizer(variables, adam)
    codes = tf.Variable(tf.random.uniform((NUM_CODES, CODE_SIZE), -1 / NUM_CODES, 1 / NUM_CODES))
    sums, counts = tf.Variable(codes), tf.Variable(tf.ones(NUM_CODES))

    def step(rows: tf.Tensor) -> None:
        images = scaled(rows)
        with tf.GradientTape() as tape:
            vectors = encoder(images, training=True)  # [B, h, w, D]
            flat = tf.stop_gradient(tf.reshape(vectors, (-1, CODE_SIZE)))
            distances = tf.reduce_sum(tf.square(codes), 1) - 2 * tf.matmul(flat, codes, transpose_b=True)
            numbers = tf.argmin(distances, 1)  # [B h w]
            chosen = tf.stop_gradient(tf.reshape(tf.gather(codes, numbers), vectors.shape))
            outputs = decoder(vectors + tf.stop_gradient(chosen - vectors), training=True)
            reconstruction = tf.reduce_mean(tf.square(outputs - images)) / DATA_VARIANCE
            loss = reconstruction + COMMITMENT * tf.reduce_mean(tf.square(vectors - chosen))
        optimizer.apply(tape.gradient(loss, variables), variables)

        uses = tf.one_hot(numbers, NUM_CODES)  # [B h w, K]
        counts.assign(CODEBOOK_DECAY * counts + (1 - CODEBOOK_DECAY) * tf.reduce_sum(uses, 0))
        sums.assign(CODEBOOK_DECAY * sums + (1 - CODEBOOK_DECAY) * tf.matmul(uses, flat, transpose_a=True))
        total = tf.reduce_sum(counts)
        smoothed = (counts + SMOOTHING) / (total + NUM_CODES * SMOOTHING) * total
        codes.assign(sums / smoothed[:, None])

    return step
