"""SNGAN's residual networks for 32x32 images, as in `jaxgen.networks.sngan`, in Keras.

`keras.layers.SpectralNormalization` stores the normalized weights in place of the weights and takes no gradient through
the singular value, which is a little less work than in jaxgen and PyTorch.
"""

import keras
from common import SNGAN_LATENT_SIZE, SNGAN_WIDTH
from keras import layers
from keras_gan import BATCH_NORM
from keras_training import through


def sngan_generator() -> keras.Model:
    latents = layers.Input((SNGAN_LATENT_SIZE,))
    hidden = layers.Reshape((4, 4, SNGAN_WIDTH))(layers.Dense(4 * 4 * SNGAN_WIDTH)(latents))
    for _ in range(3):
        hidden = _up_block(hidden)
    hidden = through([layers.BatchNormalization(**BATCH_NORM), layers.ReLU()], hidden)
    return keras.Model(latents, layers.Conv2D(3, 3, padding="same", activation="tanh")(hidden))


def _up_block(inputs: keras.KerasTensor) -> keras.KerasTensor:
    branch = [
        layers.BatchNormalization(**BATCH_NORM),
        layers.ReLU(),
        layers.UpSampling2D(2),
        layers.Conv2D(SNGAN_WIDTH, 3, padding="same", use_bias=False),
        layers.BatchNormalization(**BATCH_NORM),
        layers.ReLU(),
        layers.Conv2D(SNGAN_WIDTH, 3, padding="same", use_bias=False),
    ]
    shortcut = [layers.Conv2D(SNGAN_WIDTH, 1, use_bias=False), layers.UpSampling2D(2)]
    return layers.add([through(branch, inputs), through(shortcut, inputs)])


def sngan_discriminator() -> keras.Model:
    images = layers.Input((32, 32, 3))
    hidden = _down_block(images, first=True)
    hidden = _down_block(hidden)
    for _ in range(2):
        hidden = layers.add([through([layers.ReLU(), _conv(3), layers.ReLU(), _conv(3)], hidden), hidden])
    features = keras.ops.sum(layers.ReLU()(hidden), (1, 2))
    return keras.Model(images, layers.SpectralNormalization(layers.Dense(1))(features))


def _down_block(inputs: keras.KerasTensor, *, first: bool = False) -> keras.KerasTensor:
    branch = [_conv(3), layers.ReLU(), _conv(3), layers.AveragePooling2D(2)]
    branch = branch if first else [layers.ReLU(), *branch]
    return layers.add([through(branch, inputs), through([layers.AveragePooling2D(2), _conv(1)], inputs)])


def _conv(size: int) -> layers.Layer:
    return layers.SpectralNormalization(layers.Conv2D(SNGAN_WIDTH, size, padding="same"))
