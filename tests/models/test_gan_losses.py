"""The losses against their closed forms, and the gradients of the steps against plain ones."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.special
from helpers import floats, tiny_images

from jaxgen.data import example_batch
from jaxgen.models import GANLoss, classifier, gan
from jaxgen.models.classifier import random_shift
from jaxgen.models.gan import LOSSES, PENALTY_NOISE, gradient_penalty
from jaxgen.networks.classifier import ConvClassifier
from jaxgen.networks.mlp import MLPDiscriminator, MLPGenerator
from jaxgen.training.parallel import example_keys, example_normal

LATENT_SIZE, KEY = 5, jax.random.key(11)
BATCH = example_batch(tiny_images(), 12)
NETWORKS = (MLPGenerator((8, 8, 1), widths=(16,)), MLPDiscriminator(widths=(16, 8)))


def build(**options):
    """A GAN under plain gradient descent of rate 1: old minus new parameters are the gradients."""
    options = {"ema_decay": None} | options
    return gan(
        *NETWORKS,
        latent_size=LATENT_SIZE,
        generator_optimiser=optax.sgd(1.0),
        discriminator_optimiser=optax.sgd(1.0),
        **options,
    )


def step_of(model, state, key=KEY):
    return jax.jit(model.train_step)(state, BATCH, key)


def gradients(old, new):
    return jax.tree.map(lambda a, b: np.asarray(a - b), old.params, new.params)


def plain_gradients(state, loss, key=KEY):
    """Of both networks from the same point, as two losses of their own."""
    latents = example_normal(jax.random.split(key)[0], BATCH["index"], (LATENT_SIZE,))

    def logits(generator_params, discriminator_params):
        fake = NETWORKS[0].apply({"params": generator_params}, latents, train=True)
        judge = functools.partial(NETWORKS[1].apply, {"params": discriminator_params}, train=True)
        return judge(BATCH["image"]), judge(fake)

    def generator_loss(params):
        return jnp.mean(loss.generator(*logits(params, state.params["discriminator"])))

    def discriminator_loss(params):
        return jnp.mean(loss.discriminator(*logits(state.params["generator"], params)))

    return {
        "generator": jax.grad(generator_loss)(state.params["generator"]),
        "discriminator": jax.grad(discriminator_loss)(state.params["discriminator"]),
    }


def assert_close(actual, expected, rtol=2e-4):
    for (path, a), (_, b) in zip(floats(actual), floats(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * np.abs(b).max() + 1e-12, err_msg=path)


# ---------------------------------------------------------------- closed forms


def test_losses_are_those_of_the_paper():
    rng = np.random.default_rng(0)
    real, fake = rng.normal(0, 3, 50), rng.normal(0, 3, 50)
    judged_real, judged_fake = scipy.special.expit(real), scipy.special.expit(fake)
    discriminator = -np.log(judged_real) - np.log(1 - judged_fake)  # Goodfellow et al. 2014, eq. 1
    generator = {"minimax": np.log(1 - judged_fake), "non_saturating": -np.log(judged_fake)}
    assert set(LOSSES) == set(generator)
    for name, loss in LOSSES.items():
        arguments = jnp.asarray(real, jnp.float32), jnp.asarray(fake, jnp.float32)
        np.testing.assert_allclose(loss.discriminator(*arguments), discriminator, rtol=1e-5)
        np.testing.assert_allclose(loss.generator(*arguments), generator[name], rtol=1e-5, atol=1e-6)


def test_losses_stay_finite_for_extreme_logits():
    extreme = jnp.array([-1e4, -100.0, 0.0, 100.0, 1e4])
    for loss in LOSSES.values():
        for part in loss:
            assert jnp.isfinite(part(extreme, extreme)).all()
            assert jnp.isfinite(jax.grad(lambda x, part=part: part(x, x).sum())(extreme)).all()


def test_an_undecided_discriminator_loses_log_4():
    zeros = jnp.zeros(3)
    np.testing.assert_allclose(LOSSES["minimax"].discriminator(zeros, zeros), np.log(4.0), rtol=1e-6)


# ---------------------------------------------------------------- both networks at once


@pytest.mark.parametrize("independent", [False, True])
@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_of_the_simultaneous_step_are_those_of_two_losses(loss, independent):
    model = build(loss=loss, independent_examples=independent)
    state = model.init(jax.random.key(0), BATCH)
    new, _ = step_of(model, state)
    assert_close(gradients(state, new), plain_gradients(state, LOSSES[loss]))


@pytest.mark.parametrize("scale", [-300.0, -30.0, 30.0, 300.0])
@pytest.mark.parametrize("loss", LOSSES)
def test_one_pull_back_serves_both_networks_for_extreme_logits_too(loss, scale):
    model, plain = build(loss=loss, independent_examples=True), build(loss=loss)
    state = model.init(jax.random.key(0), BATCH)
    last = state.params["discriminator"]["Dense_2"]
    # All generated examples far on one side: the slope of one loss vanishes there, that of the other does not.
    sure = {"kernel": last["kernel"], "bias": last["bias"] + scale}
    state = state.replace(params={**state.params, "discriminator": {**state.params["discriminator"], "Dense_2": sure}})
    shared, separate = gradients(state, step_of(model, state)[0]), gradients(state, step_of(plain, state)[0])
    assert all(np.isfinite(x).all() for _, x in floats(shared))
    assert_close(shared, separate)
    if loss == "non_saturating" and scale < 0:
        assert max(np.abs(x).max() for _, x in floats(shared["generator"])) > 1e-4  # where it must not vanish


@pytest.mark.parametrize("factor", [1e-3, 1.0, 1e3])
def test_one_pull_back_serves_both_networks_whatever_the_weights(factor):
    model, plain = build(independent_examples=True), build()
    state = model.init(jax.random.key(0), BATCH)
    scaled = jax.tree.map(lambda x: x * factor, state.params["discriminator"]["Dense_2"])
    params = {**state.params["discriminator"], "Dense_2": scaled}
    state = state.replace(params={**state.params, "discriminator": params})
    assert_close(gradients(state, step_of(model, state)[0]), gradients(state, step_of(plain, state)[0]))


def test_a_loss_of_ones_own_may_be_given():
    hinge = GANLoss(lambda real, fake: jax.nn.relu(1 - real) + jax.nn.relu(1 + fake), lambda real, fake: -fake)
    model = build(loss=hinge)
    state = model.init(jax.random.key(0), BATCH)
    assert_close(gradients(state, step_of(model, state)[0]), plain_gradients(state, hinge))


def test_a_loss_may_look_at_both_logits():
    relative = GANLoss(lambda real, fake: jax.nn.softplus(fake - real), lambda real, fake: jax.nn.softplus(real - fake))
    model = build(loss=relative)
    state = model.init(jax.random.key(0), BATCH)
    assert_close(gradients(state, step_of(model, state)[0]), plain_gradients(state, relative))


# ---------------------------------------------------------------- n discriminator steps


def test_the_generator_moves_in_every_nth_step_only():
    model = build(discriminator_steps=3, ema_decay=0.9)
    state = model.init(jax.random.key(0), BATCH)
    moved, weights = [], []
    for i in range(7):
        new, metrics = step_of(model, state, jax.random.key(i))
        moved.append(not np.array_equal(floats(new.params["generator"])[0][1], floats(state.params["generator"])[0][1]))
        assert not np.array_equal(*(floats(s.params["discriminator"])[0][1] for s in (new, state)))
        weights.append(float(metrics["generator/loss"][1]))
        assert float(metrics["discriminator/loss"][1]) == 12.0
        state = new
    assert moved == [False, False, True, False, False, True, False]
    assert weights == [0.0, 0.0, 12.0, 0.0, 0.0, 12.0, 0.0]  # what was not measured weighs nothing


def test_the_generator_steps_against_the_updated_discriminator_with_new_latents():
    model = build(discriminator_steps=1)
    state = model.init(jax.random.key(0), BATCH)
    new, _ = step_of(model, state)
    after_discriminator = state.replace(params={**state.params, "discriminator": new.params["discriminator"]})
    second_key = jax.random.split(KEY)[1]
    latents = example_normal(second_key, BATCH["index"], (LATENT_SIZE,))

    def loss(params):
        fake = NETWORKS[0].apply({"params": params}, latents, train=True)
        judged = NETWORKS[1].apply({"params": after_discriminator.params["discriminator"]}, fake, train=True)
        return jnp.mean(LOSSES["non_saturating"].generator(None, judged))

    assert_close(gradients(state, new)["generator"], jax.grad(loss)(state.params["generator"]))
    assert_close(
        gradients(state, new)["discriminator"], plain_gradients(state, LOSSES["non_saturating"])["discriminator"]
    )


def test_a_gan_takes_no_condition():
    model = build()
    state = model.init(jax.random.key(0), BATCH)
    with pytest.raises(ValueError, match="unconditional"):
        model.sample(state, KEY, 2, condition=jnp.zeros(2))


# ---------------------------------------------------------------- the classifier


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_classifiers_loss_is_the_cross_entropy(smoothing):
    network = ConvClassifier(widths=(4,), num_features=8)
    model = classifier(network, optimiser=optax.sgd(0.0), label_smoothing=smoothing)
    state = model.init(jax.random.key(0), BATCH)
    _, metrics = step_of(model, state)
    variables = {"params": state.params["classifier"], **state.model_state["classifier"]}
    logits, _ = network.apply(variables, BATCH["image"], train=True, mutable=["batch_stats"])
    logs = scipy.special.log_softmax(np.asarray(logits, np.float64), axis=-1)
    targets = np.eye(10)[np.asarray(BATCH["label"])] * (1 - smoothing) + smoothing / 10
    total, weight = metrics["classifier/loss"]
    assert float(total) == pytest.approx(-(targets * logs).sum(), rel=1e-5)
    assert float(weight) == 12.0
    hits, _ = metrics["classifier/accuracy"]
    assert float(hits) == (logs.argmax(-1) == np.asarray(BATCH["label"])).sum()


def test_random_shift_moves_by_whole_pixels_and_repeats_the_edges():
    images = jnp.asarray(np.random.default_rng(0).normal(size=(40, 6, 6, 1)).astype(np.float32))
    keys = example_keys(jax.random.key(0), jnp.arange(40, dtype=jnp.uint32))
    shifted = np.asarray(random_shift(images, keys, 2))
    padded = np.pad(np.asarray(images), ((0, 0), (2, 2), (2, 2), (0, 0)), mode="edge")
    places = set()
    for i, image in enumerate(shifted):
        found = [
            (top, left)
            for top in range(5)
            for left in range(5)
            if np.array_equal(image, padded[i, top : top + 6, left : left + 6])
        ]
        assert len(found) == 1
        places.add(found[0])
    assert {top for top, _ in places} == {left for _, left in places} == {0, 1, 2, 3, 4}
    np.testing.assert_array_equal(random_shift(images, keys, 0), images)


# ---------------------------------------------------------------- the gradient penalty


def test_the_penalty_of_a_linear_discriminator_is_its_squared_slope():
    slope = jnp.array([0.5, -2.0, 1.0])
    noise = jax.random.normal(jax.random.key(0), (200_000, 3))
    values = gradient_penalty(jnp.zeros(len(noise)), PENALTY_NOISE * noise @ slope, 3.0)
    error = float(values.std()) / len(values) ** 0.5
    assert float(values.mean()) == pytest.approx(3.0 / 2 * float(slope @ slope), abs=4 * error)


def test_the_penalty_estimates_the_true_gradient_of_a_discriminator():
    params = NETWORKS[1].init(KEY, BATCH["image"], train=True)
    judge = functools.partial(NETWORKS[1].apply, params, train=True)
    image = BATCH["image"][:1]
    exact = jnp.sum(jax.grad(lambda x: judge(x)[0])(image) ** 2) / 2
    noisy = image + PENALTY_NOISE * jax.random.normal(KEY, (20_000, *image.shape[1:]))
    values = gradient_penalty(judge(image), judge(noisy), 1.0)
    assert float(values.mean()) == pytest.approx(float(exact), rel=0.05)


def test_both_ways_of_stepping_have_the_gradient_of_loss_and_penalty():
    steps = {n: build(real_penalty=5.0, discriminator_steps=n) for n in (None, 1)}
    state = steps[None].init(jax.random.key(0), BATCH)
    found = {n: step_of(model, state) for n, model in steps.items()}
    together, apart = (gradients(state, found[n][0])["discriminator"] for n in (None, 1))
    assert_close(together, apart)
    without = gradients(state, step_of(build(), state, jax.random.split(KEY)[0])[0])["discriminator"]
    assert any(np.abs(a - b).max() > 1e-3 for (_, a), (_, b) in zip(floats(together), floats(without), strict=True))
    for _, metrics in found.values():
        total, weight = metrics["discriminator/penalty"]
        assert float(total) > 0.0
        assert float(weight) == 12
