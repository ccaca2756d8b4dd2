"""The ladder VAE: its layers' Gaussians against products of densities, its noise against the latents it stands for."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tiny import tiny_images

from jaxgen.data import example_batch
from jaxgen.models.likelihoods import bernoulli
from jaxgen.models.vae import HierarchicalVAE, ladder_posterior
from jaxgen.models.vae.posteriors import Generation
from jaxgen.networks.ladder import LATENT_SIZES, WIDTHS, LadderDecoder, LadderEncoder

KEY = jax.random.key(2)
SIZES, DOWNWARDS = (4, 3, 2), (2, 3, 4)
DECODER = LadderDecoder((8, 8, 1), SIZES, (16, 8, 8))
ROWS = 6


@pytest.fixture(scope="module")
def variables():
    return jax.jit(lambda z: DECODER.init(KEY, z, train=False))(jnp.zeros((1, 9)))


@pytest.fixture(scope="module")
def decoder(variables):
    """The decoder as a function of inputs and method."""
    return lambda *inputs, **options: DECODER.apply(variables, *inputs, train=False, **options)


def draw_from(outputs, decoder):
    """A draw for each row of the encoder's outputs."""
    posterior, of = ladder_posterior(SIZES), Generation(None, decoder)
    keys = jax.random.split(jax.random.key(1), len(outputs))
    return jax.jit(lambda outputs, keys: posterior.draw({}, outputs, keys, of))(outputs, keys)


def by_layer(values):
    return np.split(np.asarray(values, np.float64), np.cumsum(DOWNWARDS)[:-1], axis=-1)


def log_normal(x, mean, variance):
    return -0.5 * ((x - mean) ** 2 / variance + np.log(2 * np.pi * variance)).sum(-1)


def in_latent_space(outputs, noise, decoder):
    """(z, prior mean, prior variance, posterior mean, posterior variance) of each layer from the top: eqs. 17 to 19."""
    layers, above, start = [], None, 0
    for number, (size, e) in enumerate(zip(DOWNWARDS, by_layer(noise), strict=True)):
        mean, log_variance = np.split(np.asarray(outputs, np.float64)[:, start : start + 2 * size], 2, -1)
        start += 2 * size
        if above is None:
            prior_mean, prior_variance = np.zeros_like(mean), np.ones_like(mean)
            variance = np.exp(log_variance)
        else:
            prior = decoder(jnp.asarray(above, jnp.float32), len(SIZES) - 1 - number, method="prior")
            prior_mean, prior_log_variance = (np.asarray(x, np.float64) for x in prior)
            prior_variance = np.exp(prior_log_variance)
            variance = 1 / (np.exp(-log_variance) + 1 / prior_variance)
            mean = (mean * np.exp(-log_variance) + prior_mean / prior_variance) * variance
        above = prior_mean + np.sqrt(prior_variance) * e
        layers.append((above, prior_mean, prior_variance, mean, variance))
    return layers


@pytest.fixture(scope="module")
def drawn(decoder):
    """(encoder's outputs, a draw for each of them)."""
    outputs = jax.random.normal(KEY, (ROWS, 18))
    return outputs, draw_from(outputs, decoder)


def test_the_density_is_that_of_the_latents_whose_layers_are_joined_by_precision(decoder, drawn):
    outputs, draw = drawn
    layers = in_latent_space(outputs, draw.latents, decoder)
    log_q = sum(log_normal(z, mean, variance) for z, _, _, mean, variance in layers)
    log_p = sum(log_normal(z, mean, variance) for z, mean, variance, _, _ in layers)
    ours = draw.log_density - jax.scipy.stats.norm.logpdf(draw.latents).sum(-1)
    np.testing.assert_allclose(ours, log_q - log_p, rtol=1e-4, atol=1e-4)


def test_the_divergence_of_each_latent_is_that_of_its_gaussians(decoder, drawn):
    outputs, draw = drawn
    expected = [
        0.5 * (variance / prior_variance + (mean - prior_mean) ** 2 / prior_variance - 1)
        - 0.5 * np.log(variance / prior_variance)
        for _, prior_mean, prior_variance, mean, variance in in_latent_space(outputs, draw.latents, decoder)
    ]
    np.testing.assert_allclose(draw.kl, np.concatenate(expected, -1), rtol=1e-3, atol=1e-5)


def test_the_divergence_is_the_mean_of_sampled_ones(decoder):
    draw = draw_from(jnp.tile(jax.random.normal(KEY, (1, 18)), (4_000, 1)), decoder)
    sampled = np.asarray(draw.log_density - jax.scipy.stats.norm.logpdf(draw.latents).sum(-1))
    closed = np.asarray(draw.kl.sum(-1))
    difference = sampled - closed
    assert abs(difference.mean()) < 5 * difference.std() / np.sqrt(4_000)
    assert closed.mean() > 1


def test_the_decoder_turns_noise_into_latents_layer_after_layer(variables, decoder):
    noise = jax.random.normal(KEY, (ROWS, 9))
    z1 = in_latent_space(jnp.zeros((ROWS, 18)), noise, decoder)[-1][0]  # of the layer next to the images
    shifted = LadderDecoder((8, 8, 1), SIZES[:1], (16,))  # the same last MLP, on z_1 alone
    kept = {
        kind: {name: tree for name, tree in trees.items() if name in ("mlps_0", "pixels")}
        for kind, trees in variables.items()
    }
    expected = shifted.apply(kept, jnp.asarray(z1, jnp.float32), train=False)
    np.testing.assert_allclose(decoder(noise), expected, rtol=1e-4, atol=1e-5)


def test_the_moments_are_those_below_the_means_of_the_layers_above(decoder, drawn):
    outputs, _ = drawn
    mean, log_variance = jax.jit(lambda x: ladder_posterior(SIZES).moments({}, x, decoder))(outputs)
    for e, v, (_, prior_mean, prior_variance, joined, variance) in zip(
        by_layer(mean), by_layer(log_variance), in_latent_space(outputs, mean, decoder), strict=True
    ):
        np.testing.assert_allclose(e, (joined - prior_mean) / np.sqrt(prior_variance), rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(v, np.log(variance / prior_variance), rtol=1e-3, atol=1e-4)


def test_the_networks_have_the_papers_sizes_and_fit_each_other():
    encoder, decoder = LadderEncoder(), LadderDecoder()
    assert LATENT_SIZES == (64, 32, 16, 8, 4)
    assert WIDTHS == (512, 256, 128, 64, 32)
    model = HierarchicalVAE(
        encoder, decoder, latent_sizes=LATENT_SIZES, likelihood=bernoulli(), optimizer=optax.adam(1e-3)
    ).model()
    batch = example_batch(tiny_images(28), 3)
    state = jax.eval_shape(model.init, KEY, batch)
    samples = jax.eval_shape(lambda state: model.sample(state, KEY, 5), state)
    chex.assert_shape(samples, (5, 28, 28, 1))
    shapes = {jax.tree_util.keystr(k): x.shape for k, x in jax.tree_util.tree_leaves_with_path(state.params["vae"])}
    kernels = sorted(shape for name, shape in shapes.items() if "decoder" in name and "kernel" in name)
    hidden = [(below, width) for below, width in zip(LATENT_SIZES, WIDTHS, strict=True)]
    priors = [(width, 2 * size) for width, size in zip(WIDTHS[1:], LATENT_SIZES[:-1], strict=True)]
    assert kernels == sorted([*hidden, *((w, w) for w in WIDTHS), *priors, (512, 784)])


def test_reconstructions_keep_their_images_shape():
    model = HierarchicalVAE(
        LadderEncoder(SIZES, (16, 8, 8)),
        DECODER,
        latent_sizes=SIZES,
        likelihood=bernoulli(),
        optimizer=optax.adam(1e-3),
    ).model()
    batch = example_batch(tiny_images(), 3)
    state = jax.jit(model.init)(KEY, batch)
    latents = jax.jit(model.latents.encode)(state, batch["image"])
    chex.assert_shape(latents, (3, 9))
    reconstructed = jax.jit(model.latents.reconstruct)(state, batch["image"])
    decoded = jax.jit(model.latents.decode)(state, latents)
    np.testing.assert_allclose(reconstructed, decoded, rtol=1e-5, atol=1e-6)
    assert reconstructed.shape == batch["image"].shape
