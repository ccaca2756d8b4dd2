"""StyleGAN2's regularizers against explicit derivatives and finite differences, and what its step does when."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tiny import tiny_images, tiny_stylegan2

from jaxgen.core.errors import UserError
from jaxgen.data import example_batch
from jaxgen.models.stylegan2.parts import PATH_DECAY, lazy_adam, mix_styles, path_lengths, update_mean_path_length
from jaxgen.networks.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator, noise_shapes

KEY = jax.random.key(0, impl="unsafe_rbg")  # compiles much faster than the default
SHAPE = (8, 8, 2)


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


# ---------------------------------------------------------------- path lengths


def test_the_path_length_of_a_linear_map_is_that_of_its_matrix():
    matrices, styles, directions = normal(1, 3, 5, 12), normal(2, 4, 3, 5), normal(3, 4, 2, 3, 2)

    def synthesize(styles):
        return jnp.einsum("bns,nsp->bp", styles, matrices).reshape(4, 2, 3, 2)

    pulled = np.einsum("nsp,bp->bns", matrices.astype(np.float64), directions.reshape(4, 12))
    expected = np.sqrt((pulled**2).sum(-1).mean(-1))
    np.testing.assert_allclose(path_lengths(synthesize, styles, directions), expected, rtol=1e-5)


@pytest.mark.slow
def test_the_path_length_of_a_generator_is_that_of_its_whole_jacobian():
    generator = StyleGAN2Generator(SHAPE, 32, 4, style_size=5, mapping_layers=1)
    styles, directions = normal(4, 2, 4, 5), normal(5, 2, *SHAPE)
    noise = [normal(i, 1, *shape) for i, shape in enumerate(noise_shapes(SHAPE))]
    variables = jax.jit(lambda: generator.init(KEY, jnp.zeros((2, 5)), train=False))()

    def synthesize(styles):
        return generator.apply(variables, styles, noise, method="synthesize")

    lengths = jax.jit(lambda styles: path_lengths(synthesize, styles, directions))(styles)
    for i in range(2):
        jacobian = jax.jit(jax.jacrev(lambda style: synthesize(style[None])[0]))(styles[i])  # [8, 8, 2, 4, 5]
        pulled = np.einsum("hwcns,hwc->ns", jacobian, directions[i])
        np.testing.assert_allclose(lengths[i], np.sqrt((pulled**2).sum(-1).mean()), rtol=1e-4)


@pytest.mark.slow
def test_the_gradient_of_the_path_penalty_is_its_finite_difference():
    generator = StyleGAN2Generator(SHAPE, 32, 4, style_size=5, mapping_layers=1)
    with jax.enable_x64(True):
        latents = jnp.asarray(normal(6, 2, 5), jnp.float64)
        directions = jnp.asarray(normal(7, 2, *SHAPE), jnp.float64)
        noise = [jnp.asarray(normal(i, 2, *shape), jnp.float64) for i, shape in enumerate(noise_shapes(SHAPE))]
        params = jax.jit(lambda: generator.init(KEY, latents, train=False)["params"])()
        params = jax.tree.map(lambda x: jnp.asarray(x, jnp.float64), params)

        @jax.jit
        def penalty(params):
            style = generator.apply({"params": params}, latents, method="map")
            styles = jnp.repeat(style[:, None], 4, 1)
            lengths = path_lengths(
                lambda styles: generator.apply({"params": params}, styles, noise, method="synthesize"),
                styles,
                directions,
            )
            return jnp.mean((lengths - 0.3) ** 2)

        gradient = jax.jit(jax.grad(penalty))(params)
        for seed in range(3):
            leaves, tree = jax.tree.flatten(params)
            along = tree.unflatten(normal(seed + 10 * i, *leaf.shape) for i, leaf in enumerate(leaves))
            step = 1e-6
            ahead, behind = (penalty(jax.tree.map(lambda p, a, s=s: p + s * a, params, along)) for s in (step, -step))
            expected = (ahead - behind) / (2 * step)
            actual = sum(jax.tree.leaves(jax.tree.map(jnp.vdot, gradient, along)))
            np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_the_mean_path_length_moves_slowly_and_has_no_gradient():
    lengths = jnp.array([1.0, 3.0])
    assert update_mean_path_length(jnp.array(0.5), lengths) == pytest.approx(0.5 + PATH_DECAY * 1.5)
    assert not jnp.any(jax.grad(lambda lengths: update_mean_path_length(jnp.array(0.5), lengths))(lengths))


# ---------------------------------------------------------------- mixed styles, the optimizer


def test_styles_are_mixed_from_a_layer_drawn_evenly_and_as_often_as_is_said():
    examples, layers = 20_000, 6
    styles = jnp.broadcast_to(jnp.array([[0.0], [1.0]]), (examples, 2, 1))
    mixed = np.asarray(mix_styles(styles, jax.random.split(jax.random.key(1), examples), layers, 0.9))[..., 0]
    assert not mixed[:, 0].any()
    assert (np.diff(mixed, axis=1) >= 0).all()  # once the second, always the second
    firsts = np.bincount(layers - mixed.sum(1).astype(int), minlength=layers + 1) / examples
    np.testing.assert_allclose(firsts[1:layers], 0.9 / (layers - 1), atol=5 * (0.18 * 0.82 / examples) ** 0.5)
    assert firsts[layers] == pytest.approx(0.1, abs=5 * (0.1 * 0.9 / examples) ** 0.5)


def test_the_optimizer_of_lazy_penalties_has_the_papers_corrections():
    grads = [jnp.array([1.0, -3.0]), jnp.array([0.5, 2.0]), jnp.array([-0.1, 1.0])]
    for every, share in ((4, 0.8), (16, 16 / 17), (None, 1.0)):
        optimizer, state, square = lazy_adam(0.002, every), lazy_adam(0.002, every).init(grads[0]), 0.0
        for i, grad in enumerate(grads):
            updates, state = optimizer.update(grad, state)
            beta = 0.99**share
            square = beta * square + (1 - beta) * np.asarray(grad, np.float64) ** 2
            corrected = square / (1 - beta ** (i + 1))
            np.testing.assert_allclose(updates, -0.002 * share * grad / np.sqrt(corrected), rtol=1e-4)


# ---------------------------------------------------------------- the step


@pytest.mark.slow
def test_lazy_penalties_are_as_strong_as_weight_and_distance_say():
    """By plain descent: what a penalty moves is the difference from a step without it."""
    rate, batch = 0.01, example_batch(tiny_images(), 8)
    plain = {f"{name}_optimizer": optax.sgd(rate) for name in ("generator", "discriminator")}

    def after_a_step(**options):
        model = tiny_stylegan2(**{"r1_weight": 0.0, "path_weight": 0.0, **options}, **plain)
        state, _ = jax.jit(model.train_step)(jax.jit(model.init)(KEY, batch), batch, jax.random.key(1))
        return state.params

    def moved(name, **options):
        return jax.tree.map(jnp.subtract, after_a_step(**options)[name], without[name])

    without = after_a_step()
    discriminator = StyleGAN2Discriminator((8, 8, 1), channel_base=32, channel_max=6)

    def r1(params):
        slopes = jax.grad(lambda x: jnp.sum(discriminator.apply({"params": params}, x, train=True)))(batch["image"])
        return 0.5 * jnp.mean(jnp.sum(jnp.square(slopes), (1, 2, 3)))

    expected = jax.tree.map(lambda slope: -rate * 5 * 30.0 * slope, jax.jit(jax.grad(r1))(without["discriminator"]))
    actual = moved("discriminator", r1_weight=30.0, r1_every=5)
    largest = max(float(jnp.abs(x).max()) for x in jax.tree.leaves(expected))
    assert largest > 1e-3
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3 * largest), actual, expected)

    once = moved("generator", path_weight=50.0, path_every=2)
    largest = max(float(jnp.abs(x).max()) for x in jax.tree.leaves(once))
    assert largest > 1e-3
    twice = moved("generator", path_weight=25.0, path_every=8)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, 2 * b, atol=0.02 * largest), twice, once)


@pytest.fixture(scope="module")
def trained():
    """A model whose regularizers come in every 2nd and 3rd step, its states and metrics over 4 steps."""
    model = tiny_stylegan2(path_every=2, r1_every=3, w_avg_decay=0.5)
    batch = example_batch(tiny_images(), 8)
    states, metrics = [jax.jit(model.init)(KEY, batch)], []
    step = jax.jit(model.train_step)
    for i in range(4):
        state, values = step(states[-1], batch, jax.random.key(i))
        states.append(state)
        metrics.append({name: (float(total), float(weight)) for name, (total, weight) in values.items()})
    return model, states, metrics


@pytest.mark.slow
def test_the_regularizers_come_as_often_as_is_said(trained):
    _, states, metrics = trained
    assert [m["generator/path_length"][1] for m in metrics] == [8.0, 0.0, 8.0, 0.0]
    assert [m["discriminator/r1"][1] for m in metrics] == [8.0, 0.0, 0.0, 8.0]
    updates = [optax.tree_utils.tree_get(states[-1].opt_state[n], "count") for n in ("generator", "discriminator")]
    assert list(map(int, updates)) == [4 + 2, 4 + 2]
    means = [float(state.model_state["path_length"]["mean"]) for state in states]
    lengths = [m["generator/path_length"][0] / 8 for m in metrics]
    assert means[1] == pytest.approx(PATH_DECAY * lengths[0], rel=1e-5)
    assert means[2] == means[1]
    assert means[3] == pytest.approx(means[2] + PATH_DECAY * (lengths[2] - means[2]), rel=1e-5)


@pytest.mark.slow
def test_truncation_leads_to_the_average_style(trained):
    model, states, _ = trained
    state = states[-1]
    latents = model.latents.prior(jax.random.key(2), 5)
    styles = jax.jit(model.styles.of_latents)(state, latents)
    chex.assert_shape(styles, (5, 4, 5))
    average = model.styles.average(state)
    assert np.abs(average).max() > 0.0
    half = jax.jit(lambda *a: model.styles.of_latents(*a, truncation=0.5))(state, latents)
    np.testing.assert_allclose(half, 0.5 * styles + 0.5 * average, atol=1e-5)
    decode = jax.jit(lambda t, state, latents: model.latents.decode(state, latents, truncation=t))
    images = decode(1.0, state, latents)
    np.testing.assert_array_equal(images, decode(1.0, state, latents))
    assert len(np.unique(np.asarray(images), axis=0)) == 5
    same = np.asarray(decode(0.0, state, latents))
    np.testing.assert_array_equal(same, same[:1].repeat(5, 0))
    whole = jax.jit(model.styles.synthesize)(state, styles)
    np.testing.assert_allclose(jnp.clip(whole, -1.0, 1.0), images, atol=1e-5)


@pytest.mark.slow
def test_samples_have_noise_of_their_own_and_decode_has_not(trained):
    model, states, _ = trained
    strong = jax.tree_util.tree_map_with_path(
        lambda path, x: x + 3.0 if "noise_strength" in jax.tree_util.keystr(path) else x, states[-1].ema_params
    )
    state = states[-1].replace(ema_params=strong)
    samples = np.asarray(model.sample(state, jax.random.key(3), 4, truncation=0.0))
    assert len(np.unique(samples, axis=0)) == 4  # one style, four noises
    images = np.asarray(model.latents.decode(state, jnp.zeros((2, 6)), truncation=0.0))
    np.testing.assert_allclose(images[0], images[1], atol=1e-6)


@pytest.mark.slow
def test_the_average_style_is_that_of_the_styles_that_were_trained_on(trained):
    model, states, _ = trained
    average, before = (s.model_state["average_style"]["mean"] for s in (states[1], states[0]))
    assert not jnp.any(before)
    prior = model.latents.prior(jax.random.key(4), 4000)
    state = states[0].replace(ema_params=states[0].params)
    expected = model.styles.of_latents(state, prior)[:, 0]
    # half the mean of 8 styles, each of which has the spread of the styles
    spread = 0.5 * np.std(expected, 0) / 8**0.5
    assert (np.abs(average - 0.5 * np.mean(expected, 0)) < 5 * spread + 1e-6).all()


def test_a_batch_that_cannot_be_halved_is_refused():
    model = tiny_stylegan2()
    batch = example_batch(tiny_images(), 3)
    state = jax.eval_shape(model.init, KEY, batch)
    with pytest.raises(UserError, match="--batch-size"):
        jax.eval_shape(model.train_step, state, batch, jax.random.key(0))
