"""The adversarial autoencoder's updates, written out again with plain gradients."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import scipy.stats
from tiny import tiny_autoencoder_networks, tiny_images

from jaxgen.core.keys import example_normal
from jaxgen.data import example_batch
from jaxgen.models import AdversarialAutoencoder
from jaxgen.models import adversarial_autoencoder as aae
from jaxgen.networks.mlp import MLPDiscriminator

KEY = jax.random.key(0)


def spec_with(optimizers, **options):
    networks = (*tiny_autoencoder_networks(2), MLPDiscriminator((8,)))
    names = ("autoencoder_optimizer", "discriminator_optimizer")
    return AdversarialAutoencoder(*networks, latent_size=2, **dict(zip(names, optimizers, strict=True)), **options)


def test_both_updates_are_those_of_the_papers_losses():
    weight = 0.5
    model = spec_with((optax.sgd(1.0), optax.sgd(1.0)), adversarial_weight=weight).model()
    batch = example_batch(tiny_images(), 16)
    state = jax.jit(model.init)(KEY, batch)
    after, _ = jax.jit(model.train_step)(state, batch, KEY)
    encoder, decoder = tiny_autoencoder_networks(2)
    discriminator = MLPDiscriminator((8,))
    images, real = batch["image"], example_normal(KEY, batch["index"], (2,))
    old, old_discriminator = state.params["autoencoder"], state.params["discriminator"]

    def encode(params):
        return encoder.apply({"params": params["encoder"]}, images, train=True)

    def judge(params, latents):
        return discriminator.apply({"params": params}, latents, train=True)

    def discriminator_loss(params):
        sigmoid = jax.nn.sigmoid
        fake = encode(old)
        return -jnp.mean(jnp.log(sigmoid(judge(params, real))) + jnp.log(1 - sigmoid(judge(params, fake))))

    grads = jax.grad(discriminator_loss)(old_discriminator)
    expected = jax.tree.map(jnp.subtract, old_discriminator, grads)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5), after.params["discriminator"], expected
    )

    def autoencoder_loss(params):  # against the discriminator as it is by now
        latents = encode(params)
        error = jnp.mean((decoder.apply({"params": params["decoder"]}, latents, train=True) - images) ** 2)
        return error - weight * jnp.mean(jnp.log(jax.nn.sigmoid(judge(expected, latents))))

    grads = jax.grad(autoencoder_loss)(old)
    expected = jax.tree.map(jnp.subtract, old, grads)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5), after.params["autoencoder"], expected
    )


def test_training_brings_the_latents_to_the_prior():
    model = spec_with((optax.adam(3e-3, b1=0.5), optax.adam(3e-3, b1=0.5)), adversarial_weight=1.0).model()
    batch = example_batch(tiny_images(examples=256), 256)
    state, step = jax.jit(model.init)(KEY, batch), jax.jit(model.train_step)

    def distance(state):
        latents = np.asarray(model.latents.encode(state, batch["image"]))
        return max(scipy.stats.kstest(column, "norm").statistic for column in latents.T)

    before = distance(state)
    for i in range(500):
        state, _ = step(state, batch, jax.random.fold_in(KEY, i))
    assert distance(state) < 0.17 < before


def test_the_functions_fit_each_other():
    spec = spec_with((optax.sgd(0.1), optax.sgd(0.1)))
    model = spec.model()
    batch = example_batch(tiny_images(), 4)
    state = jax.jit(model.init)(KEY, batch)
    _, decode, encode, reconstruct, *_ = model.latents
    latents = encode(state, batch["image"])
    np.testing.assert_allclose(reconstruct(state, batch["image"]), decode(state, latents), rtol=1e-5)
    chex.assert_shape(aae.discriminate_latents(spec, state, latents), (4,))
    np.testing.assert_array_equal(model.sample(state, KEY, 3), decode(state, model.latents.prior(KEY, 3)))
