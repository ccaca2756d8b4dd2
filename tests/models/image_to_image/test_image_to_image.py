"""From images to images: losses against their formulas, whose gradients train which network, scores of 256 levels."""

import dataclasses

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from jaxgen.models import image_to_image
from jaxgen.models.image_to_image import (
    Adversary,
    PerceptualLoss,
    Restoration,
    Translation,
    inpainting,
    super_resolution,
)
from jaxgen.models.image_to_image.restoration import turned
from jaxgen.networks.translators import PatchDiscriminator, UNetTranslator

KEY = jax.random.key(2)
SMOOTH = np.kron(np.random.default_rng(0).uniform(-1, 1, (6, 4, 4, 3)), np.ones((1, 4, 4, 1)))
BATCH = {"image": jnp.asarray(SMOOTH, jnp.float32), "index": jnp.arange(6, dtype=jnp.uint32)}


class Shift(nn.Module):
    """The same number everywhere."""

    @nn.compact
    def __call__(self, given, *, train):
        shift = self.param("shift", nn.initializers.constant(0.1), ())
        return jnp.full((len(given), 16, 16, 3), shift)


class Judge(nn.Module):
    """w mean(image - baseline) for each of two patches."""

    @nn.compact
    def __call__(self, both, *, train):
        images, baselines = jnp.split(both, 2, -1)
        weight = self.param("weight", nn.initializers.constant(2.0), ())
        difference = jnp.mean(images - baselines, -1)
        return weight * jnp.stack([jnp.mean(difference[:, :8], (1, 2)), jnp.mean(difference[:, 8:], (1, 2))], -1)


def started(**options):
    options = {"degradation": super_resolution(2), "optimizer": optax.sgd(0.5), **options}
    model = Restoration(Shift(), **options).model()
    return model, jax.jit(model.init)(jax.random.key(0), BATCH)


def means(metrics):
    return {name: float(total / weight) for name, (total, weight) in metrics.items()}


BASELINE = super_resolution(2).degrade(jax.random.split(KEY, 6), BATCH["image"]).baseline


@pytest.mark.parametrize(("loss", "expected"), [("l1", jnp.abs), ("mse", jnp.square)])
@pytest.mark.parametrize("residual", [True, False])
def test_content_losses(loss, expected, residual):
    model, state = started(loss=loss, residual=residual)
    values = means(jax.jit(model.eval_step)(state, BATCH, KEY))
    outputs = 0.1 + (BASELINE if residual else 0.0)
    assert values["generator/loss"] == pytest.approx(float(jnp.mean(expected(outputs - BATCH["image"]))), rel=1e-5)


def test_scores_are_those_of_scikit_image_in_bytes_without_the_border():
    model, state = started(border=1)
    values = means(jax.jit(model.eval_step)(state, BATCH, KEY))
    restored = jnp.clip(BASELINE + 0.1, -1, 1)
    scores = {"psnr": [], "ssim": [], "psnr_y": []}
    for image, truth in zip(*(np.rint((np.asarray(x) + 1) * 127.5) for x in (restored, BATCH["image"])), strict=True):
        inner = image[1:-1, 1:-1], truth[1:-1, 1:-1]
        scores["psnr"].append(peak_signal_noise_ratio(*inner, data_range=255))
        grays = [x @ np.array([0.299, 0.587, 0.114]) for x in inner]
        scores["psnr_y"].append(peak_signal_noise_ratio(*grays, data_range=255))
        options = {"gaussian_weights": True, "use_sample_covariance": False, "channel_axis": -1, "data_range": 255}
        scores["ssim"].append(structural_similarity(*inner, **options))
    for name, expected in scores.items():
        assert values[f"generator/{name}"] == pytest.approx(np.mean(expected), rel=1e-3), name
    assert values["baseline/psnr"] != pytest.approx(values["generator/psnr"], rel=1e-3)


def test_each_network_steps_down_its_own_loss():
    adversary = Adversary(Judge(), optax.sgd(0.5), weight=0.3)
    model, state = started(adversary=adversary)
    after, metrics = jax.jit(model.train_step)(state, BATCH, KEY)

    def parts(shift, weight):
        real = jnp.mean(BATCH["image"] - BASELINE, -1)
        real = weight * jnp.stack([jnp.mean(real[:, :8], (1, 2)), jnp.mean(real[:, 8:], (1, 2))])
        generated = weight * shift
        content = jnp.mean(jnp.abs(BASELINE + shift - BATCH["image"]))
        generator = content + 0.3 * jax.nn.softplus(-generated)
        return generator, jnp.mean(jax.nn.softplus(-real)) + jax.nn.softplus(generated)

    slope = jax.grad(lambda shift: parts(shift, 2.0)[0])(0.1)
    assert float(after.params["generator"]["shift"]) == pytest.approx(0.1 - 0.5 * float(slope), rel=1e-4)
    slope = jax.grad(lambda weight: parts(0.1, weight)[1])(2.0)
    assert float(after.params["discriminator"]["weight"]) == pytest.approx(2.0 - 0.5 * float(slope), rel=1e-4)
    generator, discriminator = parts(0.1, 2.0)
    values = means(metrics)
    assert values["generator/loss"] == pytest.approx(float(generator), rel=1e-4)
    assert values["discriminator/loss"] == pytest.approx(float(discriminator), rel=1e-4)


def test_features_are_compared_by_a_network_that_stays_as_it_is():
    perceptual_loss = PerceptualLoss(
        lambda: {"scale": jnp.asarray(3.0)}, lambda arrays, images: [arrays["scale"] * images, images[:, :1]], 0.2
    )
    model, state = started(perceptual_loss=perceptual_loss)
    after, metrics = jax.jit(model.train_step)(state, BATCH, KEY)
    squares = jnp.square(BASELINE + 0.1 - BATCH["image"])
    expected = 0.2 * float(9 * squares.mean() + squares[:, :1].mean())
    assert means(metrics)["generator/features"] == pytest.approx(expected, rel=1e-4)
    assert float(after.model_state["frozen"]["scale"]) == 3.0


@pytest.mark.slow
def test_known_pixels_are_kept_and_the_others_come_from_the_network():
    network, degradation = UNetTranslator(3, 4, 2), inpainting()
    spec = Restoration(network, degradation=degradation, optimizer=optax.sgd(0.1))
    state = jax.jit(image_to_image.init, static_argnums=0)(spec, jax.random.key(0), BATCH)
    given = image_to_image.degrade(spec, KEY, BATCH["image"])
    known = np.asarray(given[..., -1:]) > 0
    restored = np.asarray(image_to_image.restore(spec, state, given))
    np.testing.assert_array_equal(np.where(known, restored, 0), np.where(known, BATCH["image"], 0))
    tiles = np.asarray(image_to_image.compare(spec, state, KEY, BATCH))
    chex.assert_shape(tiles, (6, 3, 16, 16, 3))
    np.testing.assert_array_equal(tiles[:, 2], BATCH["image"])
    assert np.abs(tiles[:, 0] - tiles[:, 1]).max() > 0.01


def test_images_are_turned_in_all_8_ways_equally_often_in_training_alone():
    image = jnp.arange(9.0).reshape(1, 3, 3, 1)
    turns = np.asarray(turned(jax.random.split(KEY, 800), jnp.tile(image, (800, 1, 1, 1))))[..., 0]
    ways, counts = np.unique(turns, axis=0, return_counts=True)
    square = np.arange(9.0).reshape(3, 3)
    expected = [np.rot90(x, k) for x in (square, square.T) for k in range(4)]
    np.testing.assert_array_equal(ways, np.unique(expected, axis=0))
    assert counts.min() > 60
    tall = jnp.arange(6.0).reshape(1, 3, 2, 1)
    assert turned(KEY[None], tall).shape == tall.shape
    (turning, state), (plain, _) = (started(turn=turn) for turn in (True, False))
    losses = [jax.jit(model.eval_step)(state, BATCH, KEY)["generator/loss"] for model in (turning, plain)]
    np.testing.assert_array_equal(*losses)


def test_specs_are_hashable_and_refuse_unknown_losses():
    options = {"optimizer": optax.sgd(0.1), "adversary": Adversary(Judge(), optax.sgd(0.1))}
    for spec in (Restoration(Shift(), degradation=inpainting(), **options), Translation(Shift(), **options)):
        assert hash(spec) == hash(dataclasses.replace(spec))
        assert spec == dataclasses.replace(spec) != dataclasses.replace(spec, border=1)
        with pytest.raises(KeyError, match="x"):
            dataclasses.replace(spec, loss="x")
        with pytest.raises(KeyError, match="x"):
            dataclasses.replace(spec, adversary=spec.adversary._replace(loss="x"))


@pytest.mark.slow
def test_the_discriminator_judges_patches_beside_what_they_were_made_from():
    adversary = Adversary(PatchDiscriminator(4, 1), optax.sgd(0.1))
    model, state = started(adversary=adversary)
    logits = model.discriminate(state, BATCH["image"], BASELINE)
    chex.assert_shape(logits, (6,))
    assert np.abs(logits - model.discriminate(state, BATCH["image"], -BASELINE)).max() > 1e-4
