"""The GANs of jaxgen in Keras: the same networks and the same update."""

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf
from common import LATENT_SIZE, MLP_DISCRIMINATOR, MLP_GENERATOR, SLOPE, Adam
from keras import layers
from keras_training import adam_optimizer, scaled

BATCH_NORM = {"momentum": 0.9, "epsilon": 1e-5}


def mlp_generator() -> keras.Model:
    return keras.Sequential(
        [
            layers.Input((LATENT_SIZE,)),
            *_hidden(MLP_GENERATOR),
            layers.Dense(784, activation="tanh"),
            layers.Reshape((28, 28, 1)),
        ]
    )


def mlp_discriminator() -> keras.Model:
    return keras.Sequential([layers.Input((28, 28, 1)), layers.Flatten(), *_hidden(MLP_DISCRIMINATOR), layers.Dense(1)])


def _hidden(widths: Sequence[int]) -> list[layers.Layer]:
    return [layer for width in widths for layer in (layers.Dense(width), layers.LeakyReLU(SLOPE))]


def dcgan_generator(
    widths: Sequence[int], *, latent_size: int = LATENT_SIZE, output_activation: str | None = None
) -> keras.Model:
    stem, first, second = widths
    return keras.Sequential(
        [
            layers.Input((latent_size,)),
            layers.Dense(7 * 7 * stem, use_bias=False),
            layers.Reshape((7, 7, stem)),
            layers.BatchNormalization(**BATCH_NORM),
            layers.LeakyReLU(SLOPE),
            layers.Conv2DTranspose(first, 5, 1, padding="same", use_bias=False),
            layers.BatchNormalization(**BATCH_NORM),
            layers.LeakyReLU(SLOPE),
            layers.Conv2DTranspose(second, 5, 2, padding="same", use_bias=False),
            layers.BatchNormalization(**BATCH_NORM),
            layers.LeakyReLU(SLOPE),
            layers.Conv2DTranspose(1, 5, 2, padding="same", activation=output_activation),
        ]
    )


def dcgan_encoder(widths: Sequence[int], num_outputs: int) -> keras.Model:
    """Build DCGAN's encoder; with one output it is the discriminator."""
    convolutions = [(layers.Conv2D(width, 5, 2, padding="same"), layers.LeakyReLU(SLOPE)) for width in widths]
    return keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            *(layer for pair in convolutions for layer in pair),
            layers.Flatten(),
            layers.Dense(num_outputs),
        ]
    )


def non_saturating(real_logits: tf.Tensor, fake_logits: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the discriminator's loss and the generator's."""
    discriminator_loss = tf.reduce_mean(tf.nn.softplus(-real_logits) + tf.nn.softplus(fake_logits))
    return discriminator_loss, tf.reduce_mean(tf.nn.softplus(-fake_logits))


def hinge(real_logits: tf.Tensor, fake_logits: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the discriminator's loss and the generator's."""
    discriminator_loss = tf.reduce_mean(tf.nn.relu(1 - real_logits) + tf.nn.relu(1 + fake_logits))
    return discriminator_loss, -tf.reduce_mean(fake_logits)


def gan_step(
    generator: keras.Model,
    discriminator: keras.Model,
    adam: Adam,
    *,
    latent_size: int = LATENT_SIZE,
    losses: Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]] = non_saturating,
) -> Callable[[tf.Tensor], None]:
    """Return `step(rows uint8 [B, H, W, C])`, which updates both networks at the same point.

    There is one forward pass through D(G(z)) for both losses.
    """
    generator_optimizer = adam_optimizer(generator.trainable_variables, adam)
    discriminator_optimizer = adam_optimizer(discriminator.trainable_variables, adam)

    def step(rows: tf.Tensor) -> None:
        latents = tf.random.normal((len(rows), latent_size))
        with tf.GradientTape(persistent=True) as tape:
            fake_logits = discriminator(generator(latents, training=True), training=True)
            real_logits = discriminator(scaled(rows), training=True)
            discriminator_loss, generator_loss = losses(real_logits, fake_logits)
        discriminator_grads = tape.gradient(discriminator_loss, discriminator.trainable_variables)
        generator_grads = tape.gradient(generator_loss, generator.trainable_variables)
        discriminator_optimizer.apply(discriminator_grads, discriminator.trainable_variables)
        generator_optimizer.apply(generator_grads, generator.trainable_variables)

    return step
