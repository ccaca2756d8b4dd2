"""The losses against PyTorch's, and the gradients of the steps against plain ones."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import REFERENCES, floats
from tiny import tiny_images

from jaxgen.core.keys import example_normal
from jaxgen.data import example_batch
from jaxgen.models import GAN, GANLoss
from jaxgen.models.gan.losses import LOSSES
from jaxgen.networks.mlp import MLPDiscriminator, MLPGenerator
from jaxgen.training.parallel import device_mesh, per_device, replicate, split_over_devices

LATENT_SIZE, KEY = 5, jax.random.key(11)
BATCH = example_batch(tiny_images(), 12)
REFERENCE = np.load(REFERENCES / "gan_losses.npz")
NETWORKS = (MLPGenerator((8, 8, 1), widths=(16,)), MLPDiscriminator(widths=(16, 8)))


def build(**options):
    """A GAN under plain gradient descent of rate 1: old minus new parameters are the gradients."""
    options = {"ema_decay": None} | options
    return GAN(
        *NETWORKS,
        latent_size=LATENT_SIZE,
        generator_optimizer=optax.sgd(1.0),
        discriminator_optimizer=optax.sgd(1.0),
        **options,
    ).model()


@functools.cache
def built(loss, independent):
    """The model of a loss, its state at first and its compiled step, for several tests."""
    model = build(loss=loss, independent_examples=independent)
    return model.init(jax.random.key(0), BATCH), jax.jit(model.train_step)


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
    largest = max(np.abs(b).max() for _, b in floats(expected))  # a gradient that vanishes on paper is rounding here
    for (path, a), (_, b) in zip(floats(actual), floats(expected), strict=True):
        atol = rtol * np.abs(b).max() + 1e-5 * largest + 1e-12
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol, err_msg=path)


# ---------------------------------------------------------------- closed forms


@pytest.mark.parametrize("name", LOSSES)
def test_losses_and_their_gradients_are_those_of_pytorch(name):
    assert all(f"{name}/{player}/loss" in REFERENCE for player in ("generator", "discriminator")), (
        f"{name} has no reference: add it to tests/references/make_gan_losses.py and run that (needs torch)"
    )
    real, fake = map(jnp.asarray, REFERENCE["logits"])
    for player in ("discriminator", "generator"):
        loss = getattr(LOSSES[name], player)
        value, grads = jax.value_and_grad(lambda r, f, loss=loss: jnp.mean(loss(r, f)), (0, 1))(real, fake)
        np.testing.assert_allclose(value, REFERENCE[f"{name}/{player}/loss"], rtol=2e-6)
        for which, grad in zip(("real", "generated"), grads, strict=True):
            np.testing.assert_allclose(grad, REFERENCE[f"{name}/{player}/{which}"], rtol=2e-5, atol=1e-8)


def test_relativistic_losses_take_the_means_of_the_whole_batch():
    logits = jnp.asarray(REFERENCE["logits"])
    loss = LOSSES["relativistic_average"].discriminator
    halves = per_device(lambda rows: loss(*rows), device_mesh(2), (True,), replicated_output=False)
    split = halves(split_over_devices(device_mesh(2), logits.reshape(2, 2, 8).swapaxes(0, 1)))
    np.testing.assert_allclose(np.concatenate(split), loss(*logits), rtol=1e-6)


def test_losses_stay_finite_for_extreme_logits():
    extreme = jnp.array([-1e4, -100.0, 0.0, 100.0, 1e4])
    for loss in LOSSES.values():
        for part in loss[:2]:
            chex.assert_tree_all_finite(part(extreme, extreme))
            chex.assert_tree_all_finite(jax.grad(lambda x, part=part: part(x, x).sum())(extreme))


def test_an_undecided_discriminator_loses_log_4():
    zeros = jnp.zeros(3)
    np.testing.assert_allclose(LOSSES["minimax"].discriminator(zeros, zeros), np.log(4.0), rtol=1e-6)


# ---------------------------------------------------------------- both networks at once


@pytest.mark.parametrize("independent", [False, True])
@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_of_the_simultaneous_step_are_those_of_two_losses(loss, independent):
    state, step = built(loss, independent)
    new, _ = step(state, BATCH, KEY)
    assert_close(gradients(state, new), plain_gradients(state, LOSSES[loss]))


@pytest.mark.parametrize("scale", [-300.0, -30.0, 30.0, 300.0])
@pytest.mark.parametrize("loss", LOSSES)
def test_one_pull_back_serves_both_networks_for_extreme_logits_too(loss, scale):
    (state, step), (_, plain_step) = built(loss, True), built(loss, False)
    last = state.params["discriminator"]["Dense_2"]
    # All generated examples far on one side: the slope of one loss vanishes there, that of the other does not.
    sure = {"kernel": last["kernel"], "bias": last["bias"] + scale}
    state = state.replace(params={**state.params, "discriminator": {**state.params["discriminator"], "Dense_2": sure}})
    shared, separate = (gradients(state, one(state, BATCH, KEY)[0]) for one in (step, plain_step))
    assert all(np.isfinite(x).all() for _, x in floats(shared))
    assert_close(shared, separate)
    if loss == "non_saturating" and scale < 0:
        assert max(np.abs(x).max() for _, x in floats(shared["generator"])) > 1e-4  # where it must not vanish


@pytest.mark.parametrize("factor", [1e-3, 1.0, 1e3])
def test_one_pull_back_serves_both_networks_whatever_the_weights(factor):
    (state, step), (_, plain_step) = built("non_saturating", True), built("non_saturating", False)
    scaled = jax.tree.map(lambda x: x * factor, state.params["discriminator"]["Dense_2"])
    params = {**state.params["discriminator"], "Dense_2": scaled}
    state = state.replace(params={**state.params, "discriminator": params})
    assert_close(*(gradients(state, one(state, BATCH, KEY)[0]) for one in (step, plain_step)))


def test_a_loss_of_ones_own_may_be_given():
    relative = GANLoss(lambda real, fake: jax.nn.softplus(fake - real), lambda real, fake: jax.nn.softplus(real - fake))
    model = build(loss=relative)
    state = model.init(jax.random.key(0), BATCH)
    assert_close(gradients(state, step_of(model, state)[0]), plain_gradients(state, relative))


def test_a_relativistic_step_has_the_same_gradients_on_two_devices():
    model = build(loss="relativistic_average")
    state, mesh = model.init(jax.random.key(0), BATCH), device_mesh(2)
    rows = jax.tree.map(lambda x: x.reshape(2, -1, *x.shape[1:]), BATCH)
    step = per_device(lambda state, batch: model.train_step(state, batch, KEY)[0], mesh, (False, True))
    split = step(replicate(mesh, state), split_over_devices(mesh, rows))
    assert_close(gradients(state, split), plain_gradients(state, LOSSES["relativistic_average"]))


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
