"""The benchmark's entries in Keras 3 on TensorFlow, each step one tf.function."""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from collections.abc import Callable

import keras
import tensorflow as tf
from common import (
    BATCH,
    BETA1,
    BETA2,
    DCGAN_DISCRIMINATOR,
    DCGAN_GENERATOR,
    EPSILON,
    LATENT_SIZE,
    LEARNING_RATE,
    MLP_DISCRIMINATOR,
    MLP_GENERATOR,
    SLOPE,
    images,
)
from keras import layers


def mlp_gan() -> Callable[[int], None]:
    def hidden(widths):
        return [layer for width in widths for layer in (layers.Dense(width), layers.LeakyReLU(SLOPE))]

    generator = keras.Sequential(
        [
            layers.Input((LATENT_SIZE,)),
            *hidden(MLP_GENERATOR),
            layers.Dense(784, activation="tanh"),
            layers.Reshape((28, 28, 1)),
        ]
    )
    discriminator = keras.Sequential(
        [layers.Input((28, 28, 1)), layers.Flatten(), *hidden(MLP_DISCRIMINATOR), layers.Dense(1)]
    )
    return gan(generator, discriminator)


def dcgan() -> Callable[[int], None]:
    stem, first, second = DCGAN_GENERATOR
    generator = keras.Sequential(
        [
            layers.Input((LATENT_SIZE,)),
            layers.Dense(7 * 7 * stem, use_bias=False),
            layers.Reshape((7, 7, stem)),
            layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
            layers.LeakyReLU(SLOPE),
            layers.Conv2DTranspose(first, 5, 1, padding="same", use_bias=False),
            layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
            layers.LeakyReLU(SLOPE),
            layers.Conv2DTranspose(second, 5, 2, padding="same", use_bias=False),
            layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
            layers.LeakyReLU(SLOPE),
            layers.Conv2DTranspose(1, 5, 2, padding="same", activation="tanh"),
        ]
    )
    first, second = DCGAN_DISCRIMINATOR
    discriminator = keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(first, 5, 2, padding="same"),
            layers.LeakyReLU(SLOPE),
            layers.Conv2D(second, 5, 2, padding="same"),
            layers.LeakyReLU(SLOPE),
            layers.Flatten(),
            layers.Dense(1),
        ]
    )
    return gan(generator, discriminator)


def gan(generator: keras.Model, discriminator: keras.Model) -> Callable[[int], None]:
    """Both networks updated at the same point, with one forward pass through D(G(z)) for both losses."""
    data = tf.constant(images())
    optimisers = []
    for network in (generator, discriminator):
        optimisers.append(keras.optimizers.Adam(LEARNING_RATE, BETA1, BETA2, EPSILON))
        optimisers[-1].build(network.trainable_variables)
    generator_optimiser, discriminator_optimiser = optimisers

    @tf.function
    def step(position: tf.Tensor) -> None:
        real = tf.cast(data[position : position + BATCH], tf.float32) / 127.5 - 1
        latents = tf.random.normal((BATCH, LATENT_SIZE))
        with tf.GradientTape(persistent=True) as tape:
            fake_logits = discriminator(generator(latents, training=True), training=True)
            real_logits = discriminator(real, training=True)
            discriminator_loss = tf.reduce_mean(tf.nn.softplus(-real_logits) + tf.nn.softplus(fake_logits))
            generator_loss = tf.reduce_mean(tf.nn.softplus(-fake_logits))
        discriminator_grads = tape.gradient(discriminator_loss, discriminator.trainable_variables)
        generator_grads = tape.gradient(generator_loss, generator.trainable_variables)
        discriminator_optimiser.apply(discriminator_grads, discriminator.trainable_variables)
        generator_optimiser.apply(generator_grads, generator.trainable_variables)

    position = 0

    def run(steps: int) -> None:
        nonlocal position
        for _ in range(steps):
            step(tf.constant(position))
            position = (position + BATCH) % len(data)

    return run


BUILDERS = {"mlp_gan": mlp_gan, "dcgan": dcgan}
