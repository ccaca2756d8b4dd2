"""The benchmark's entries in Keras 3 on TensorFlow, each step one tf.function."""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import functools
from collections.abc import Callable

import keras
import tensorflow as tf
from common import (
    DCGAN_DISCRIMINATOR,
    DCGAN_GENERATOR,
    PROBLEMS,
    SNGAN_LATENT_SIZE,
    VAE_DECODER,
    VAE_ENCODER,
    VAE_LATENT_SIZE,
    examples,
    in_turn,
)
from keras_gan import dcgan_encoder, dcgan_generator, gan_step, hinge, mlp_discriminator, mlp_generator
from keras_sngan import sngan_discriminator, sngan_generator
from keras_vae import vae_step
from keras_vq_vae import vq_decoder, vq_encoder, vq_vae_step

Networks = tuple[keras.Model, keras.Model]


def mlp_gan() -> Networks:
    return mlp_generator(), mlp_discriminator()


def dcgan() -> Networks:
    return dcgan_generator(DCGAN_GENERATOR, output_activation="tanh"), dcgan_encoder(DCGAN_DISCRIMINATOR, 1)


def conv_vae() -> Networks:
    encoder = dcgan_encoder(VAE_ENCODER, 2 * VAE_LATENT_SIZE)
    return encoder, dcgan_generator(VAE_DECODER, latent_size=VAE_LATENT_SIZE)


def sngan() -> Networks:
    return sngan_generator(), sngan_discriminator()


def vq_vae() -> Networks:
    return vq_encoder(), vq_decoder()


NETWORKS = {"mlp_gan": mlp_gan, "dcgan": dcgan, "conv_vae": conv_vae, "sngan": sngan, "vq_vae": vq_vae}
STEPS = {
    "mlp_gan": gan_step,
    "dcgan": gan_step,
    "conv_vae": vae_step,
    "sngan": functools.partial(gan_step, latent_size=SNGAN_LATENT_SIZE, losses=hinge),
    "vq_vae": vq_vae_step,
}


def train(name: str) -> Callable[[int], None]:
    """Return a function that runs steps of an entry, each as one call of a tf.function."""
    problem = PROBLEMS[name]
    data = tf.constant(examples(problem))
    step_on = STEPS[name](*NETWORKS[name](), problem.adam)

    @tf.function
    def step(position: tf.Tensor) -> None:
        step_on(tf.ensure_shape(data[position : position + problem.batch_size], (problem.batch_size, *data.shape[1:])))

    return in_turn(lambda position: step(tf.constant(position)), problem)


BUILDERS = {name: functools.partial(train, name) for name in NETWORKS}
