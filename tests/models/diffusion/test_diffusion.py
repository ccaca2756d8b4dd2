"""Diffusion: what networks predict against each paper's formulas, and a model whose denoiser and density are known."""

import dataclasses
from functools import partial

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tiny import tiny_diffusion

from jaxgen.core.errors import UserError
from jaxgen.models import diffusion
from jaxgen.models.diffusion import (
    PREDICTIONS,
    Diffusion,
    caption_condition,
    class_condition,
    edm,
    linear_betas,
    lognormal,
)
from jaxgen.models.diffusion.latents import WIDEST_RANGE
from jaxgen.models.diffusion.probability_flow import log_density

KEY = jax.random.key(3)
SHAPE, DEVIATION, CORRELATION = (2, 2, 1), 0.25, 0.8
MEANS = jnp.asarray(np.random.default_rng(0).uniform(-0.3, 0.3, (4, *SHAPE)), jnp.float32)  # of 3 classes, and of none

# ---------------------------------------------------------------- what networks predict


def target(preconditioning, image, noise, sigma):
    """F where D is the image itself."""
    x = image + sigma * noise
    return (image - preconditioning.c_skip(sigma) * x) / preconditioning.c_out(sigma)


@pytest.mark.parametrize("alpha_bar", [0.9, 0.4, 0.02])
def test_predictions_are_those_of_their_papers(alpha_bar):
    image, noise = (jnp.asarray(np.random.default_rng(seed).normal(size=50), jnp.float32) for seed in (0, 1))
    a, b = alpha_bar**0.5, (1 - alpha_bar) ** 0.5
    sigma = jnp.asarray(b / a)
    scaled = a * image + b * noise
    papers = {"epsilon": noise, "x0": image, "v": a * noise - b * image}
    for name, expected in papers.items():
        np.testing.assert_allclose(target(PREDICTIONS[name], image, noise, sigma), expected, atol=2e-5)
        np.testing.assert_allclose(PREDICTIONS[name].c_in(sigma) * (image + sigma * noise), scaled, atol=1e-5)
    t = sigma / (1 + sigma)
    np.testing.assert_allclose(target(PREDICTIONS["flow"], image, noise, sigma), noise - image, atol=2e-5)
    line = (1 - t) * image + t * noise
    np.testing.assert_allclose(PREDICTIONS["flow"].c_in(sigma) * (image + sigma * noise), line, atol=1e-5)


@pytest.mark.parametrize("sigma", [0.01, 0.5, 30.0])
def test_inputs_and_targets_of_edm_have_variance_1(sigma):
    rng = np.random.default_rng(0)
    image, noise = jnp.asarray(0.4 * rng.normal(size=100_000)), jnp.asarray(rng.normal(size=100_000))
    sigma = jnp.asarray(sigma)
    assert np.std(target(edm(0.4), image, noise, sigma)) == pytest.approx(1, abs=0.01)
    assert np.std(edm(0.4).c_in(sigma) * (image + sigma * noise)) == pytest.approx(1, abs=0.01)


# ---------------------------------------------------------------- a model whose density is known


class OfGaussians(nn.Module):
    """F of images with Gaussian pixels, of a mean for each class and for none, times a learned scale that starts at 1.

    Its predictions are those of `epsilon`.
    """

    @nn.compact
    def __call__(self, x, noise_labels, labels, *, train, dropout_keys=None):
        del train, dropout_keys
        sigma = jnp.exp(4 * noise_labels)[:, None, None, None]
        unscaled = x * jnp.sqrt(1 + sigma**2)
        denoised = (DEVIATION**2 * unscaled + sigma**2 * MEANS[labels]) / (DEVIATION**2 + sigma**2)
        return self.param("scale", nn.initializers.ones, ()) * (unscaled - denoised) / sigma


def gaussian_model(network=None, **options):
    options = {"condition": class_condition(3), "sampler": "heun", "sampling_steps": 60, **options}
    model = Diffusion(
        network or OfGaussians(),
        image_shape=SHAPE,
        preconditioning=PREDICTIONS["epsilon"],
        noise_levels=lognormal(),
        optimizer=optax.sgd(0.0),
        **options,
    ).model()
    return model, model.init(jax.random.key(0), batch_of(2))


def batch_of(number):
    rng = np.random.default_rng(1)
    labels = jnp.arange(number) % 3
    images = MEANS[labels] + DEVIATION * rng.normal(size=(number, *SHAPE))
    return {"image": jnp.asarray(images, jnp.float32), "label": labels, "index": jnp.arange(number, dtype=jnp.uint32)}


@pytest.mark.parametrize(
    "sampler", ["heun", *(pytest.param(name, marks=pytest.mark.slow) for name in ("dpm_solver", "ancestral"))]
)
def test_samples_have_the_mean_and_deviation_of_their_class(sampler):
    model, state = gaussian_model(sampling_steps=400 if sampler == "ancestral" else 60)
    labels = jnp.repeat(jnp.arange(3), 2000)
    draw = jax.jit(lambda key: model.sample(state, key, 6000, condition=labels, sampler=sampler))
    samples = np.asarray(draw(KEY)).reshape(3, 2000, *SHAPE)
    np.testing.assert_allclose(samples.mean(1), MEANS[:3], atol=0.03)
    np.testing.assert_allclose(samples.std(1), DEVIATION, atol=0.02)


@pytest.mark.slow
def test_guidance_goes_from_the_images_without_a_class_towards_those_of_it():
    model, state = gaussian_model(sampling_steps=60)
    labels = jnp.zeros(3000, jnp.int32)
    for weight in (0.0, 0.5, 2.0):
        samples = jax.jit(lambda w: model.sample(state, KEY, 3000, condition=labels, guidance=w), static_argnums=0)(
            weight
        )
        # D is linear in the mean, so that the guided denoiser is the exact one of a Gaussian of this mean.
        np.testing.assert_allclose(samples.mean(0), MEANS[3] + weight * (MEANS[0] - MEANS[3]), atol=0.03)


def test_log_likelihoods_are_those_of_the_gaussian():
    model, state = gaussian_model()
    batch = batch_of(300)
    nats = jax.jit(model.likelihood.log_likelihood, static_argnums=3)(state, KEY, batch, 1)
    deviation = (DEVIATION**2 + WIDEST_RANGE[0] ** 2 + (2 / 255) ** 2 / 12) ** 0.5
    exact = jax.scipy.stats.norm.logpdf(batch["image"], MEANS[batch["label"]], deviation).sum((1, 2, 3))
    # 0.004 either way is what makes a level continuous; the trace is exact, as dD/dx is diagonal.
    np.testing.assert_allclose(nats, exact, atol=0.15)
    assert abs(float(jnp.mean(nats - exact))) < 0.02
    bits = model.likelihood.bits_per_dimension(nats)
    np.testing.assert_allclose(bits, -(nats / 4 + np.log(2 / 255)) / np.log(2), rtol=1e-5)


@pytest.mark.slow
def test_the_trace_is_estimated_without_bias():
    """Of a Gaussian with correlated pixels, whose dD/dx is not diagonal."""
    generator = np.random.default_rng(0)
    root = generator.normal(size=(4, 4)) / 4
    covariance = root @ root.T + 0.05 * np.eye(4)
    images = jnp.asarray(generator.multivariate_normal(np.zeros(4), covariance, 100), jnp.float32)

    def denoiser(x, sigma):
        return x @ jnp.linalg.solve(covariance + sigma**2 * jnp.eye(4), covariance)

    keys = jax.random.split(KEY, 100)
    density = jax.jit(log_density, static_argnums=(0, 2, 3), static_argnames="directions")
    nats = density(denoiser, images, 0.002, 80.0, keys=keys, directions=200)
    exact = jax.scipy.stats.multivariate_normal.logpdf(images, np.zeros(4), covariance + 0.002**2 * np.eye(4))
    np.testing.assert_allclose(nats.mean(), exact.mean(), atol=0.05)
    np.testing.assert_allclose(nats, exact, atol=0.6)


def test_an_image_is_decoded_from_its_latents_which_are_those_of_the_gaussian():
    model, state = gaussian_model(sampling_steps=100)
    batch = batch_of(50)
    latents = model.latents.encode(state, batch["image"], batch["label"])
    expected = (batch["image"] - MEANS[batch["label"]]) / DEVIATION
    np.testing.assert_allclose(latents, expected.reshape(50, 4), atol=0.05)
    again = model.latents.reconstruct(state, batch["image"], batch["label"])
    np.testing.assert_allclose(again, batch["image"], atol=0.01)


def test_what_is_inpainted_is_as_given_where_it_is_known():
    model, state = gaussian_model()
    batch, mask = batch_of(2000), jnp.zeros((2000, 2, 2, 1)).at[:, 0].set(1.0)
    images = model.denoising.inpaint(state, KEY, batch["image"], mask, batch["label"])
    np.testing.assert_allclose(images[:, 0], jnp.clip(batch["image"][:, 0], -1, 1), atol=1e-5)
    drawn, means = np.asarray(images[:, 1]), np.asarray(MEANS[batch["label"]][:, 1])
    assert np.abs(drawn - batch["image"][:, 1]).mean() > 0.1
    np.testing.assert_allclose((drawn - means).mean(0), 0.0, atol=0.03)
    np.testing.assert_allclose((drawn - means).std(0), DEVIATION, atol=0.02)


class OfPairs(nn.Module):
    """F of images whose two rows are Gaussian and correlated by CORRELATION, each column by itself."""

    @nn.compact
    def __call__(self, x, noise_labels, *, train, dropout_keys=None):
        del train, dropout_keys
        sigma = jnp.exp(4 * noise_labels)[:, None, None]
        unscaled = x * jnp.sqrt(1 + sigma[..., None] ** 2)
        alike, apart = unscaled[:, 0] + unscaled[:, 1], unscaled[:, 0] - unscaled[:, 1]
        variances = DEVIATION**2 * (1 + CORRELATION), DEVIATION**2 * (1 - CORRELATION)
        alike, apart = (v / (v + sigma**2) * y / 2 for v, y in zip(variances, (alike, apart), strict=True))
        denoised = jnp.stack([alike + apart, alike - apart], 1)
        return self.param("scale", nn.initializers.ones, ()) * (unscaled - denoised) / sigma[..., None]


def test_what_is_inpainted_goes_with_what_is_known():
    model, state = gaussian_model(OfPairs(), condition=None, sampler="ancestral", sampling_steps=50)
    images = jnp.asarray(DEVIATION * np.random.default_rng(0).normal(size=(2000, *SHAPE)), jnp.float32)
    mask = jnp.zeros((2000, 2, 2, 1)).at[:, 0].set(1.0)
    drawn = np.asarray(jax.jit(model.denoising.inpaint)(state, KEY, images, mask))[:, 1].ravel()
    known = np.asarray(images[:, 0]).ravel()
    slope = np.mean(drawn * known) / np.mean(known**2)
    assert slope == pytest.approx(CORRELATION, abs=0.07)  # E[x | known] = CORRELATION known
    assert (drawn - slope * known).std() == pytest.approx(DEVIATION * (1 - CORRELATION**2) ** 0.5, rel=0.15)


def test_more_sampling_steps_than_noise_levels_are_refused():
    with pytest.raises(UserError, match="There are 1,000 noise levels: take no more --sampling-steps"):
        tiny_diffusion("unet", noise_levels=linear_betas(), sampling_steps=1_001)


# ---------------------------------------------------------------- training


def test_the_loss_of_the_exact_network_is_what_no_network_can_know():
    """E[(n - E[n | x])^2] = s^2 / (s^2 + sigma^2) for pixels of deviation s."""
    model, state = gaussian_model(condition_dropout=0.0)
    batch = batch_of(3000)
    total, weight = jax.jit(model.eval_step)(state, batch, KEY)["diffusion/loss"]
    levels = lognormal().icdf((jnp.arange(3000) + 0.5) / 3000)
    expected = jnp.mean(DEVIATION**2 / (DEVIATION**2 + levels**2))
    assert float(total / weight) == pytest.approx(float(expected), rel=0.03)


def test_the_class_is_left_out_as_often_as_asked_for():
    seen = []

    class Watch(OfGaussians):
        @nn.compact
        def __call__(self, x, noise_labels, labels, *, train, dropout_keys=None):
            jax.debug.callback(lambda labels: seen.append(np.asarray(labels)), labels)
            return self.param("scale", nn.initializers.ones, ()) * x

    model = Diffusion(
        Watch(),
        image_shape=SHAPE,
        preconditioning=edm(),
        noise_levels=lognormal(),
        optimizer=optax.sgd(0.0),
        condition=class_condition(3),
        condition_dropout=0.2,
    ).model()
    batch = batch_of(2000)
    state = model.init(jax.random.key(0), batch_of(2))
    seen.clear()
    jax.jit(model.train_step)(state, batch, KEY)
    jax.jit(model.eval_step)(state, batch, KEY)
    jax.effects_barrier()
    trained, evaluated = seen
    assert np.mean(trained == 3) == pytest.approx(0.2, abs=0.03)
    np.testing.assert_array_equal(trained[trained != 3], batch["label"][trained != 3])
    np.testing.assert_array_equal(evaluated, batch["label"])


@pytest.mark.slow
def test_a_batch_in_parts_is_the_whole_batch():
    rng = np.random.default_rng(0)
    images = jnp.asarray(rng.uniform(-1, 1, (8, 8, 8, 1)), jnp.float32)
    batch = {"image": images, "label": jnp.arange(8), "index": jnp.arange(8, dtype=jnp.uint32)}
    states = []
    for parts in (1, 2):
        model = tiny_diffusion("dit", micro_batches=parts)
        state = jax.jit(model.init)(jax.random.key(0), batch)
        states.append(jax.jit(model.train_step)(state, batch, KEY)[0].params)
    for whole, parts in zip(*map(jax.tree.leaves, states), strict=True):
        np.testing.assert_allclose(whole, parts, atol=1e-5)


def test_functions_of_a_spec_are_those_of_its_model():
    spec = Diffusion(
        OfGaussians(),
        image_shape=list(SHAPE),
        preconditioning=PREDICTIONS["epsilon"],
        noise_levels=lognormal(),
        optimizer=optax.sgd(0.1),
        condition=class_condition(3),
        sampling_steps=5,
    )
    jitted, model = jax.jit(diffusion.sample, static_argnums=(0, 3)), spec.model()  # a spec is hashable
    state = diffusion.init(spec, jax.random.key(0), batch_of(2))
    np.testing.assert_allclose(jitted(spec, state, KEY, 4), model.sample(state, KEY, 4), atol=1e-5)
    stepped = [step(state, batch_of(4), KEY) for step in (partial(diffusion.train_step, spec), model.train_step)]
    chex.assert_trees_all_equal(stepped[0][0].params, stepped[1][0].params)
    assert hash(dataclasses.replace(spec, condition=caption_condition(np.ones((2, 3), int))))


def test_what_makes_no_sense_is_refused():
    model, state = gaussian_model()
    with pytest.raises(UserError, match="--sampler 'x' is not among"):
        model.sample(state, KEY, 2, sampler="x")
    with pytest.raises(UserError, match="--sampling-steps must be at least 1"):
        tiny_diffusion("unet", sampling_steps=0)
