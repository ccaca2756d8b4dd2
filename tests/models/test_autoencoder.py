"""Plain and denoising autoencoders: losses, corruption, and the Gaussian of their codes."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.special
from tiny import optimizer, tiny_autoencoder_networks, tiny_denoising_autoencoder, tiny_images

from jaxgen.data import example_batch
from jaxgen.models.autoencoder import MOMENTS_DECAY, RECONSTRUCTIONS, Autoencoder, update_moments

KEY = jax.random.key(0)


def tiny_autoencoder(**options):
    return Autoencoder(*tiny_autoencoder_networks(), latent_size=3, optimizer=optimizer(), **options).model()


def test_reconstruction_losses_agree_with_their_definitions():
    rng = np.random.default_rng(0)
    outputs, images = rng.normal(size=(5, 4, 4, 2)) * 3, rng.uniform(-1, 1, (5, 4, 4, 2))
    outputs, images = outputs.astype(np.float32), images.astype(np.float32)
    mse, cross_entropy = (RECONSTRUCTIONS[name].losses(outputs, images) for name in ("mse", "cross_entropy"))
    np.testing.assert_allclose(mse, ((outputs - images) ** 2).mean((1, 2, 3)), rtol=1e-5)
    x, p = (images + 1) / 2, scipy.special.expit(outputs)
    expected = -(x * np.log(p) + (1 - x) * np.log1p(-p)).mean((1, 2, 3))
    np.testing.assert_allclose(cross_entropy, expected, rtol=1e-5)
    np.testing.assert_allclose(RECONSTRUCTIONS["cross_entropy"].images(outputs), 2 * p - 1, rtol=1e-4, atol=1e-6)


def test_running_moments_reach_those_of_the_codes():
    rng = np.random.default_rng(1)
    codes = jnp.asarray(rng.normal(size=(500, 3)) @ rng.normal(size=(3, 3)) + 2, jnp.float32)
    moments = {"mean": jnp.zeros(3), "covariance": jnp.eye(3)}
    moments = jax.lax.fori_loop(0, 900, lambda _, moments: update_moments(moments, codes), moments)
    np.testing.assert_allclose(moments["mean"], codes.mean(0), atol=2e-3)
    np.testing.assert_allclose(moments["covariance"], np.cov(codes.T, bias=True), atol=2e-2)
    once = update_moments({"mean": jnp.zeros(3), "covariance": jnp.eye(3)}, codes)
    np.testing.assert_allclose(once["mean"], (1 - MOMENTS_DECAY) * codes.mean(0), rtol=1e-4)


def test_latents_are_whitened_and_decoding_undoes_it():
    model = tiny_autoencoder()
    batch = example_batch(tiny_images(examples=400), 400)
    state = jax.jit(model.init)(KEY, batch)
    step = jax.jit(model.train_step)
    for i in range(5):
        state, _ = step(state, batch, jax.random.fold_in(KEY, i))
    # Where the moments are those of these codes, latents have mean 0 and covariance 1.
    network, _ = tiny_autoencoder_networks()
    codes = network.apply({"params": state.params["autoencoder"]["encoder"]}, batch["image"], train=False)
    moments = {"mean": codes.mean(0), "covariance": jnp.cov(codes.T, bias=True)}
    state = state.replace(model_state={**state.model_state, "codes": moments})
    latents = model.latents.encode(state, batch["image"])
    np.testing.assert_allclose(latents.mean(0), 0, atol=1e-3)
    np.testing.assert_allclose(np.cov(latents.T, bias=True), np.eye(3), atol=5e-3)
    decoded, reconstructed = (
        model.latents.decode(state, latents),
        model.latents.reconstruct(state, batch["image"]),
    )
    np.testing.assert_allclose(decoded, reconstructed, atol=1e-4)


def test_codes_that_do_not_vary_can_be_whitened():
    model = tiny_autoencoder()
    batch = example_batch(tiny_images(), 4)
    state = jax.jit(model.init)(KEY, batch)
    for covariance in (jnp.zeros((3, 3)), jnp.ones((3, 3))):
        moments = {"mean": jnp.zeros(3), "covariance": covariance}
        flat = state.replace(model_state={**state.model_state, "codes": moments})
        chex.assert_tree_all_finite(model.latents.decode(flat, jnp.ones((2, 3))))


class Remember(nn.Module):
    """Gives back its inputs, so that the loss says what was done to them."""

    @nn.compact
    def __call__(self, inputs, *, train):
        self.param("unused", nn.initializers.zeros, (1,))
        return inputs.reshape(len(inputs), -1) if inputs.ndim == 4 else inputs.reshape(-1, 8, 8, 1)


def corruption(**options):
    """(loss per pixel of a corrupted batch of ones, the same of each example)."""
    model = Autoencoder(Remember(), Remember(), latent_size=64, optimizer=optax.sgd(0.0), **options).model()
    batch = {"image": jnp.ones((200, 8, 8, 1)), "index": jnp.arange(200)}
    metrics = model.eval_step(model.init(KEY, batch), batch, KEY)
    return {name: float(total / weight) for name, (total, weight) in metrics.items()}


def test_noise_has_its_level_and_masking_its_share():
    noisy = corruption(noise_level=0.3)
    assert noisy["autoencoder/loss"] == pytest.approx(0.09, rel=0.03)
    assert noisy["autoencoder/clean_loss"] == 0.0
    # A masked pixel goes from 1 to -1, an error of 4.
    assert corruption(masking=0.25)["autoencoder/loss"] == pytest.approx(0.25 * 4, rel=0.03)
    assert corruption() == {"autoencoder/loss": 0.0}


def test_a_denoising_autoencoder_learns_to_remove_noise():
    """Images of one number each: the mean over the pixels, which a bottleneck finds, removes most of the noise."""
    levels = np.random.default_rng(2).uniform(-0.8, 0.8, (64, 1, 1, 1))
    batch = {"image": jnp.asarray(np.broadcast_to(levels, (64, 8, 8, 1)), jnp.float32), "index": jnp.arange(64)}
    spec = Autoencoder(*tiny_autoencoder_networks(), latent_size=3, noise_level=0.5, optimizer=optax.adam(1e-2))
    model = spec.model()
    state, step = jax.jit(model.init)(KEY, batch), jax.jit(model.train_step)
    for i in range(200):
        state, _ = step(state, batch, jax.random.fold_in(KEY, i))
    noisy = batch["image"] + 0.5 * jax.random.normal(KEY, batch["image"].shape)
    error = jnp.mean(jnp.square(model.latents.reconstruct(state, noisy) - batch["image"]))
    assert float(error) < 0.1 * 0.25


def test_an_autoencoder_has_no_condition_and_an_unknown_loss_is_refused():
    model = tiny_denoising_autoencoder()
    with pytest.raises(ValueError, match="unconditional"):
        model.sample(None, KEY, 2, condition=jnp.zeros(2))
    with pytest.raises(KeyError):
        tiny_autoencoder(loss="charm")
