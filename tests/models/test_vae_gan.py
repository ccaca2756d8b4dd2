"""VAE-GAN: its three gradients against plain ones of the paper's losses, its KL term against Monte Carlo."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.stats
from tiny import tiny_images

from jaxgen.core.keys import example_normal
from jaxgen.data import example_batch
from jaxgen.models.vae_gan import VAEGAN
from jaxgen.networks.feature_discriminator import FeatureDiscriminator
from jaxgen.networks.mlp import MLPEncoder, MLPGenerator

KEY = jax.random.key(0)
GAMMA = 0.3
NETWORKS = {
    "encoder": MLPEncoder(4, (16,)),
    "decoder": MLPGenerator((8, 8, 1), widths=(16,)),
    "discriminator": FeatureDiscriminator(widths=(3,), hidden_width=8),
}


def tiny(rate=1.0):
    optimizers = {f"{name}_optimizer": optax.sgd(rate) for name in NETWORKS}
    return VAEGAN(*NETWORKS.values(), latent_size=2, feature_weight=GAMMA, **optimizers).model()


def started():
    model, batch = tiny(), example_batch(tiny_images(), 16)
    return model, jax.jit(model.init)(KEY, batch), batch


def test_each_network_steps_down_its_own_loss_from_the_same_point():
    model, state, batch = started()
    after, _ = jax.jit(model.train_step)(state, batch, KEY)
    posterior_key, prior_key = jax.random.split(KEY)
    noise, prior_latents = (example_normal(key, batch["index"], (2,)) for key in (posterior_key, prior_key))

    def apply(params, name, inputs):
        return NETWORKS[name].apply({"params": params[name]}, inputs, train=True)

    def losses(params):
        mean, log_variance = jnp.split(apply(params, "encoder", batch["image"]), 2, -1)
        reconstructed = apply(params, "decoder", mean + jnp.exp(log_variance / 2) * noise)
        generated = apply(params, "decoder", prior_latents)
        (real, real_features), (fake, features), (prior_fake, _) = (
            apply(params, "discriminator", x) for x in (batch["image"], reconstructed, generated)
        )
        kl = 0.5 * jnp.sum(mean**2 + jnp.exp(log_variance) - 1 - log_variance, -1)
        unlike = 0.5 * jnp.sum((real_features - features) ** 2, -1)
        log = jax.nn.log_sigmoid
        return {
            "encoder": jnp.mean(kl + unlike),
            "decoder": jnp.mean(GAMMA * unlike - 0.5 * (log(fake) + log(prior_fake))),
            "discriminator": -jnp.mean(log(real) + 0.5 * (log(-fake) + log(-prior_fake))),
        }

    for name in NETWORKS:
        grads = jax.jit(jax.grad(lambda own, name=name: losses({**state.params, name: own})[name]))(state.params[name])
        expected = jax.tree.map(jnp.subtract, state.params[name], grads)
        for actual, value in zip(jax.tree.leaves(after.params[name]), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(actual, value, rtol=2e-3, atol=2e-4, err_msg=name)


def test_the_kl_term_agrees_with_monte_carlo():
    model, state, batch = started()
    reported = float(jax.jit(model.eval_step)(state, batch, KEY)["encoder/kl"][0] / 16)
    outputs = NETWORKS["encoder"].apply({"params": state.params["encoder"]}, batch["image"], train=False)
    mean, log_variance = np.split(np.asarray(outputs, np.float64), 2, -1)
    noise = np.random.default_rng(0).normal(size=(20_000, *mean.shape))
    latents = mean + np.exp(log_variance / 2) * noise
    ratio = scipy.stats.norm.logpdf(latents, mean, np.exp(log_variance / 2)) - scipy.stats.norm.logpdf(latents)
    assert reported == pytest.approx(ratio.sum(-1).mean(), rel=0.02)


def test_a_feature_discriminator_gives_the_logits_of_its_features():
    images = jax.random.normal(KEY, (3, 12, 12, 2))
    network = FeatureDiscriminator(widths=(4, 6), hidden_width=8, batch_norm=True)
    (logits, features), variables = jax.jit(lambda: network.init_with_output(KEY, images, train=False))()
    chex.assert_shape(logits, (3,))
    chex.assert_shape(features, (3, 3 * 3 * 6))
    hidden, head = variables["params"]["Dense_1"], variables["params"]["Dense_0"]
    inner = features @ hidden["kernel"] + hidden["bias"]
    expected = jnp.where(inner > 0, inner, 0.2 * inner) @ head["kernel"] + head["bias"]
    np.testing.assert_allclose(logits, expected[:, 0], rtol=1e-4, atol=1e-5)


def test_encoding_gives_the_posteriors_mean():
    model, state, batch = started()
    outputs = NETWORKS["encoder"].apply({"params": state.params["encoder"]}, batch["image"], train=False)
    latents = model.latents.encode(state, batch["image"])
    np.testing.assert_allclose(latents, outputs[:, :2], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        model.latents.reconstruct(state, batch["image"]), model.latents.decode(state, latents), rtol=1e-5
    )
    chex.assert_shape(model.discriminate(state, batch["image"]), (16,))
