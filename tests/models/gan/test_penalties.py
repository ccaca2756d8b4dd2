"""Penalties against finite differences and closed forms, and what the steps make of them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import floats
from tiny import tiny_images

from jaxgen.core.keys import example_normal
from jaxgen.data import example_batch
from jaxgen.models.augmentation import Augmentation, adaptive_augmentation
from jaxgen.models.gan.penalties import NOISE, PENALTIES, PenaltyInputs
from jaxgen.models.gan.spec import GAN
from jaxgen.networks.mlp import MLPDiscriminator, MLPGenerator

KEY = jax.random.key(11)
BATCH = example_batch(tiny_images(), 12)
GENERATED = jax.random.uniform(KEY, BATCH["image"].shape, minval=-1.0)
NETWORK = MLPDiscriminator(widths=(16, 8))
PARAMS = jax.jit(functools.partial(NETWORK.init, train=True))(jax.random.key(0), BATCH["image"])


def inputs_of(logits, real=BATCH["image"], generated=GENERATED, key=KEY):
    return PenaltyInputs(logits, real, logits(real), generated, key, jnp.arange(len(real), dtype=jnp.uint32))


def smooth(images, weights=(1.0, 0.5)):
    """A discriminator with a gradient known on paper: a sin(sum x) + b |x|^2."""
    flat = images.reshape(images.shape[0], -1)
    return weights[0] * jnp.sin(jnp.sum(flat, -1)) + weights[1] * jnp.sum(flat**2, -1)


def gradient_of_smooth(images, weights=(1.0, 0.5)):
    flat = np.asarray(images, np.float64).reshape(len(images), -1)
    return weights[0] * np.cos(flat.sum(-1, keepdims=True)) + 2 * weights[1] * flat


def test_r1_and_r2_are_half_the_squared_gradient_at_real_and_at_generated_images():
    for name, images in (("r1", BATCH["image"]), ("r2", GENERATED)):
        expected = 0.5 * (gradient_of_smooth(images) ** 2).sum(-1)
        np.testing.assert_allclose(PENALTIES[name](inputs_of(smooth)), expected, rtol=1e-5)


def test_the_gradient_penalty_is_taken_between_real_and_generated_images():
    def line(images):  # the gradient's length says where the image lies: |2 x|
        return jnp.sum(images.reshape(images.shape[0], -1) ** 2, -1)

    real, generated = jnp.zeros((500, 2, 2, 1)), jnp.full((500, 2, 2, 1), 1.0)
    lengths = np.sqrt(np.asarray(PENALTIES["gradient_penalty"](inputs_of(line, real, generated)))) + 1.0
    # |2 x| = 4 s with s uniform; below 1 the root is of (1 - 4 s)^2
    places = np.sort(np.where(lengths - 1.0 <= 1.0, np.nan, lengths / 4.0))
    assert np.nanmax(places) < 1.0
    assert np.nanmax(places) > 0.98
    share = np.mean(np.asarray(lengths) > 2.0)  # (4 s - 1)^2 > 1: s > 1/2
    assert share == pytest.approx(0.5, abs=4 * 0.5 / 500**0.5)


def test_gradient_penalty_and_dragan_vanish_for_a_gradient_of_length_one_and_stay_finite_for_none():
    slope = np.zeros(64, np.float32)
    slope[:4] = 0.5
    for name in ("gradient_penalty", "dragan"):
        flat = PENALTIES[name](inputs_of(lambda x: x.reshape(x.shape[0], -1) @ slope))
        np.testing.assert_allclose(flat, 0.0, atol=1e-6)

        def constant(scale, name=name):
            return jnp.sum(PENALTIES[name](inputs_of(lambda x: scale * jnp.sum(x**2, (1, 2, 3)))))

        assert float(constant(0.0)) == pytest.approx(12.0, rel=1e-5)
        assert jnp.isfinite(jax.grad(constant)(0.0))


def test_dragan_looks_around_real_images_at_half_their_standard_deviation():
    def half_square(images):  # its gradient is the image that is looked at
        return 0.5 * jnp.sum(images**2, (1, 2, 3))

    real = jnp.asarray(np.random.default_rng(0).normal(0, 0.7, (400, 8, 8, 1)).astype(np.float32))
    lengths = np.sqrt(np.asarray(PENALTIES["dragan"](inputs_of(half_square, real, real)))) + 1.0
    assert np.mean(lengths**2) / 64 == pytest.approx(0.7**2 + 0.35**2, rel=0.02)


def test_the_estimate_of_r1_is_unbiased_for_a_linear_discriminator():
    slope = jnp.array([0.5, -2.0, 1.0])
    values = PENALTIES["r1_estimate"](inputs_of(lambda x: x[:, :, 0, 0] @ slope, jnp.zeros((100_000, 3, 1, 1))))
    error = float(values.std()) / len(values) ** 0.5
    assert float(values.mean()) == pytest.approx(0.5 * float(slope @ slope), abs=4 * error)


def test_the_estimate_of_r1_is_near_r1():
    logits = functools.partial(NETWORK.apply, PARAMS, train=True)
    image = jnp.repeat(BATCH["image"][:1], 20_000, 0)
    estimate = PENALTIES["r1_estimate"](inputs_of(logits, image)).mean()
    assert float(estimate) == pytest.approx(float(PENALTIES["r1"](inputs_of(logits, image[:1]))[0]), rel=0.05)
    assert NOISE < 0.1


def test_consistency_compares_an_image_with_itself_moved():
    blank = jnp.ones((4, 16, 16, 1))  # edges are repeated: the same wherever it is moved
    np.testing.assert_allclose(PENALTIES["consistency"](inputs_of(smooth, blank)), 0.0, atol=1e-6)
    assert float(PENALTIES["consistency"](inputs_of(smooth)).max()) > 0.0

    def pixel(images):  # says where it lay: 10 rows + columns
        return images[:, 8, 8, 0]

    ramp = 10.0 * jnp.arange(16.0)[:, None] + jnp.arange(16.0)
    values = PENALTIES["consistency"](inputs_of(pixel, jnp.broadcast_to(ramp[..., None], (1000, 16, 16, 1))))
    moves = range(-2, 3)  # an eighth of 16
    assert set(np.asarray(values)) == {float((10 * down + right) ** 2) for down in moves for right in moves}


@pytest.mark.parametrize("name", PENALTIES)
def test_the_gradient_of_a_penalty_is_that_of_finite_differences(name):
    with jax.enable_x64(True):
        params, batch, generated = jax.tree.map(
            lambda x: x.astype(jnp.float64) if jnp.issubdtype(x.dtype, jnp.floating) else x,
            (PARAMS, BATCH, GENERATED),
        )

        @jax.jit
        def value(params):
            logits = functools.partial(NETWORK.apply, params, train=True)
            return jnp.mean(PENALTIES[name](inputs_of(logits, batch["image"], generated)))

        grads = jax.jit(jax.grad(value))(params)
        flat, rebuild = jax.flatten_util.ravel_pytree(params)
        slopes, _ = jax.flatten_util.ravel_pytree(grads)
        for seed in range(3):
            direction = np.random.default_rng(seed).normal(size=flat.shape)
            step = 1e-6
            difference = value(rebuild(flat + step * direction)) - value(rebuild(flat - step * direction))
            assert float(difference / (2 * step)) == pytest.approx(float(slopes @ direction), rel=1e-4, abs=1e-8)


# ---------------------------------------------------------------- in the steps


def build(**options):
    return GAN(
        MLPGenerator((8, 8, 1), widths=(16,)),
        NETWORK,
        latent_size=5,
        generator_optimizer=optax.sgd(1.0),
        discriminator_optimizer=optax.sgd(1.0),
        ema_decay=None,
        **options,
    ).model()


def discriminator_gradient(model, state, key=KEY):
    new, metrics = jax.jit(model.train_step)(state, BATCH, key)
    return jax.tree.map(lambda a, b: np.asarray(a - b), state.params, new.params)["discriminator"], metrics


def assert_close(actual, expected):
    for (path, a), (_, b) in zip(floats(actual), floats(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-4 * np.abs(b).max() + 1e-12, err_msg=path)


@pytest.mark.parametrize("penalties", [{"r1_estimate": 5.0}, {"r1": 5.0}, {"r1": 1.0, "gradient_penalty": 2.0}])
def test_both_ways_of_stepping_have_the_gradient_of_loss_and_penalties(penalties):
    models = {n: build(penalties=penalties, discriminator_steps=n) for n in (None, 1)}
    state = models[None].init(jax.random.key(0), BATCH)
    found = {n: discriminator_gradient(model, state) for n, model in models.items()}
    assert_close(found[None][0], found[1][0])
    without, _ = discriminator_gradient(build(), state, jax.random.split(KEY)[0])
    assert any(
        np.abs(a - b).max() > 1e-3 for (_, a), (_, b) in zip(floats(found[None][0]), floats(without), strict=True)
    )
    for _, metrics in found.values():
        for name in penalties:
            total, weight = metrics[f"discriminator/{name}"]
            assert float(total) > 0.0
            assert float(weight) == 12


@pytest.mark.parametrize("steps", [None, 1])
def test_a_lazy_penalty_is_taken_in_every_nth_step_and_so_many_times_as_strong(steps):
    lazy = build(penalties={"r1": 1.0}, penalty_every=4, discriminator_steps=steps)
    strong = build(penalties={"r1": 4.0}, discriminator_steps=steps)
    none = build(penalties={"r1": 0.0}, discriminator_steps=steps)
    state = lazy.init(jax.random.key(0), BATCH)
    for step in range(5):
        now = state.replace(step=jnp.asarray(step, jnp.int32))
        grads, metrics = discriminator_gradient(lazy, now)
        expected, _ = discriminator_gradient(strong if step % 4 == 0 else none, now)
        assert_close(grads, expected)
        assert float(metrics["discriminator/r1"][1]) == (12.0 if step % 4 == 0 else 0.0)


# ---------------------------------------------------------------- augmentation in the steps


def test_real_and_generated_images_are_augmented_wherever_the_discriminator_sees_them():
    darker = Augmentation(lambda images, keys, probability: 0.5 * images - 0.1)
    plain = build()
    state = plain.init(jax.random.key(0), BATCH)
    latents = example_normal(jax.random.split(jax.random.split(KEY)[0])[0], BATCH["index"], (5,))
    fake = MLPGenerator((8, 8, 1), widths=(16,)).apply({"params": state.params["generator"]}, latents, train=True)

    def loss(params):
        judge = functools.partial(NETWORK.apply, {"params": params}, train=True)
        real_logits, fake_logits = judge(0.5 * BATCH["image"] - 0.1), judge(0.5 * fake - 0.1)
        return jnp.mean(jax.nn.softplus(-real_logits) + jax.nn.softplus(fake_logits))

    for steps in (None, 1):
        grads, _ = discriminator_gradient(build(augmentation=darker, discriminator_steps=steps), state)
        assert_close(grads, jax.grad(loss)(state.params["discriminator"]))


def test_the_probability_rises_while_the_discriminator_is_sure_and_falls_else():
    model = build(augmentation=adaptive_augmentation(target=0.6, images_to_one=1200))
    state = model.init(jax.random.key(0), BATCH)
    last = state.params["discriminator"]["Dense_0"]  # the output layer

    def probability_after(bias, before):
        sure = {**state.params["discriminator"], "Dense_0": {**last, "bias": last["bias"] + bias}}
        now = state.replace(
            params={**state.params, "discriminator": sure},
            model_state={**state.model_state, "augmentation": {"probability": jnp.asarray(before)}},
        )
        new, metrics = jax.jit(model.train_step)(now, BATCH, KEY)
        probability = float(new.model_state["augmentation"]["probability"])
        assert float(metrics["augmentation/probability"][0]) == pytest.approx(12 * probability)
        return probability

    assert probability_after(100.0, 0.5) == pytest.approx(0.51)
    assert probability_after(-100.0, 0.5) == pytest.approx(0.49)
    assert probability_after(-100.0, 0.0) == 0.0
    assert probability_after(100.0, 1.0) == 1.0
