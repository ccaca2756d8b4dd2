"""Autoregressive models: likelihoods, sampling, images as tokens, and a frozen first stage."""

import functools
import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.stats
from helpers import floats
from tiny import optimizer, tiny_first_stage, tiny_images, tiny_two_stages_spec

from jaxgen.data import Dataset, example_batch
from jaxgen.data.binarization import binarized
from jaxgen.data.dataset import as_stored, scale_images, unscale_images
from jaxgen.models.autoregressive import grids
from jaxgen.models.autoregressive.grids import AutoregressiveGrid, binary_pixels
from jaxgen.networks.made import TokenMADE
from jaxgen.networks.pixel_cnn import GatedPixelCNN

KEY = jax.random.key(0)
SHAPE = (2, 3)
NETWORKS = {
    "pixel_cnn": lambda num_classes: GatedPixelCNN(3, width=4, layers=2, hidden_width=8, num_classes=num_classes),
    "made": lambda num_classes: TokenMADE(3, (8,), direct=True, num_classes=num_classes),
    "binary_made": lambda num_classes: TokenMADE(2, (8, 8), num_classes=num_classes),
}
every_network = pytest.mark.parametrize("name", NETWORKS)


@functools.cache
def tiny_model(name="pixel_cnn", num_classes=None):
    return tiny_spec(name, num_classes).model()


def tiny_spec(name="pixel_cnn", num_classes=None):
    network = NETWORKS[name](num_classes)
    return AutoregressiveGrid(network, token_shape=SHAPE, num_classes=num_classes, optimizer=optimizer())


def tiny_tokens(examples=50):
    rng = np.random.default_rng(0)
    arrays = {"tokens": rng.integers(0, 3, (examples, *SHAPE), np.uint8)}
    arrays["label"] = rng.integers(0, 4, examples).astype(np.int32)
    return Dataset("tokens", arrays, None, "text", as_stored)


@functools.cache
def sharpened(name="pixel_cnn", num_classes=None):
    """A state whose logits are far from equal."""
    state = jax.jit(tiny_model(name, num_classes).init)(KEY, example_batch(tiny_tokens(), 2))
    return state.replace(params=jax.tree.map(lambda x: 2.0 * x, state.params))


def all_log_probs(name):
    """log p of all grids of tokens, and how many tokens there are."""
    num_tokens = 2 if name == "binary_made" else 3
    grids = jnp.array(list(itertools.product(range(num_tokens), repeat=6))).reshape(-1, *SHAPE)
    log_probs = jax.jit(tiny_model(name).likelihood.log_prob)(sharpened(name), grids)
    return np.asarray(log_probs, np.float64), num_tokens


@every_network
def test_probabilities_of_all_grids_add_up_to_one(name):
    log_probs, _ = all_log_probs(name)
    assert np.exp(log_probs).sum() == pytest.approx(1, abs=1e-4)
    assert log_probs.std() > 0.3


@every_network
def test_samples_come_as_often_as_their_probability_says(name):
    spec, state = tiny_spec(name), sharpened(name)
    log_probs, num_tokens = all_log_probs(name)
    probabilities = np.exp(log_probs)
    tokens, _ = jax.jit(lambda key: grids.sample_tokens(spec, state, key, 4_000))(KEY)
    numbers = np.asarray(tokens).reshape(-1, 6) @ (num_tokens ** np.arange(5, -1, -1))
    counts = np.bincount(numbers, minlength=len(probabilities))
    common = probabilities > 10 / 4_000
    observed = np.append(counts[common], counts[~common].sum())
    expected = np.append(probabilities[common], 1 - probabilities[common].sum()) * 4_000
    assert scipy.stats.chisquare(observed, expected).pvalue > 1e-3


@every_network
@pytest.mark.parametrize("num_classes", [None, 4])
def test_the_likelihood_while_sampling_is_the_teacher_forced_one(num_classes, name):
    spec, state = tiny_spec(name, num_classes), sharpened(name, num_classes)
    condition = () if num_classes is None else (jnp.arange(20) % 4,)
    tokens, log_probs = jax.jit(lambda *c: grids.sample_tokens(spec, state, KEY, 20, *c))(*condition)
    forced = jax.jit(spec.model().likelihood.log_prob)(state, tokens, *condition)
    np.testing.assert_allclose(log_probs, forced, rtol=1e-4, atol=1e-4)
    assert float(log_probs.std()) > 0.1


def test_a_sample_belongs_to_its_number_and_its_class():
    model, state = tiny_model(num_classes=4), sharpened(num_classes=4)
    many, few = (np.asarray(model.sample(state, KEY, n)) for n in (20, 8))
    np.testing.assert_array_equal(many[:8], few)
    assert len(np.unique(many, axis=0)) > 5
    np.testing.assert_array_equal(model.condition.of_samples(6), [0, 1, 2, 3, 0, 1])
    other = np.asarray(model.sample(state, KEY, 20, condition=jnp.full(20, 2)))
    np.testing.assert_array_equal(other[2::4], many[2::4])
    assert not np.array_equal(other, many)
    with pytest.raises(ValueError, match="unconditional"):
        tiny_model().sample(state, KEY, 2, condition=jnp.zeros(2))


def test_the_loss_is_cross_entropy_per_token_and_nats_per_example():
    model, state = tiny_model(), sharpened()
    batch = example_batch(tiny_tokens(), 5)
    metrics = jax.jit(model.eval_step)(state, batch, KEY)
    log_prob = jax.jit(model.likelihood.log_prob)(state, batch["tokens"].astype(jnp.int32))
    assert float(metrics["autoregressive/nats"][0]) == pytest.approx(-float(log_prob.sum()), rel=1e-5)
    assert float(metrics["autoregressive/loss"][0]) == pytest.approx(-float(log_prob.sum()) / 6, rel=1e-5)


# ---------------------------------------------------------------- binary images


def test_tokens_of_binary_images_are_their_pixels_and_become_them_again():
    tokenizer, data = binary_pixels(), binarized(tiny_images(), seed=0, train=True)
    for split in (data.train, data.test):
        batch = scale_images({"image": jnp.asarray(split["image"]), "index": jnp.arange(len(split["image"]))})
        tokens = tokenizer.encode(tokenizer.load(), KEY, batch)
        np.testing.assert_array_equal(tokens, split["image"][..., 0] == 255)
        np.testing.assert_array_equal(unscale_images(tokenizer.decode({}, tokens)), split["image"])


def test_tokens_of_gray_images_are_drawn_anew_by_the_example():
    batch = example_batch(tiny_images(examples=4_000), 4_000)
    tokens, again = (np.asarray(binary_pixels().encode({}, key, batch)) for key in jax.random.split(KEY))
    gray = (np.asarray(batch["image"])[..., 0] + 1) / 2
    errors = np.sqrt((gray * (1 - gray)).sum())
    assert abs((tokens - gray).sum()) < 4 * errors
    assert np.mean(tokens != again) == pytest.approx(np.mean(2 * gray * (1 - gray)), abs=0.01)
    part = {name: values[10:20] for name, values in batch.items()}
    np.testing.assert_array_equal(binary_pixels().encode({}, jax.random.split(KEY)[0], part), tokens[10:20])


@pytest.mark.parametrize(
    "network",
    [TokenMADE(2, (16,)), pytest.param(GatedPixelCNN(2, width=8, layers=2, hidden_width=8), marks=pytest.mark.slow)],
    ids=["made", "pixel_cnn"],
)
def test_samples_of_a_model_of_one_image_are_that_image(network):
    image = np.where(np.random.default_rng(0).random((1, 4, 5, 1)) < 0.5, 1.0, -1.0).astype(np.float32)
    batch = {"image": jnp.asarray(np.tile(image, (4, 1, 1, 1))), "index": jnp.arange(4)}
    options = {"optimizer": optax.adam(0.1), "tokenizer": binary_pixels()}
    model = AutoregressiveGrid(network, token_shape=(4, 5), **options).model()

    @jax.jit
    def train(state):
        return jax.lax.fori_loop(0, 400, lambda i, s: model.train_step(s, batch, jax.random.fold_in(KEY, i))[0], state)

    state = train(model.init(KEY, batch))
    assert float(model.eval_step(state, batch, KEY)["autoregressive/nats"][0]) / 4 < 0.01
    samples = model.sample(state, KEY, 20)
    np.testing.assert_array_equal(samples, np.tile(image, (20, 1, 1, 1)))


# ---------------------------------------------------------------- the contract, where its table of cases does not reach


def test_a_first_stage_stays_frozen_and_its_decoder_makes_the_samples():
    first, first_state = tiny_first_stage()
    spec, batch = tiny_two_stages_spec(), example_batch(tiny_images(), 16)
    model = spec.model()
    state, step = jax.jit(model.init)(KEY, batch), jax.jit(model.train_step)
    for i in range(2):
        state, _ = step(state, batch, jax.random.fold_in(KEY, i))
    frozen = state.model_state["frozen"]
    for name in ("params", "model_state"):
        for (path, old), (_, new) in zip(floats(getattr(first_state, name)), floats(frozen[name]), strict=True):
            np.testing.assert_array_equal(new, old, err_msg=path)
    images, (tokens, _) = jax.jit(
        lambda state: (model.sample(state, KEY, 5), grids.sample_tokens(spec, state, KEY, 5))
    )(state)
    chex.assert_shape(images, (5, 8, 8, 1))
    np.testing.assert_allclose(images, first.codes.decode(first_state, tokens), rtol=1e-5, atol=1e-6)


def test_training_finds_what_tokens_have_in_common():
    rows = np.tile(np.arange(3), (64, 2, 1)) + np.random.default_rng(1).integers(0, 3, (64, 1, 1))
    data = {"tokens": jnp.asarray(rows % 3), "index": jnp.arange(64)}  # the first token says all
    network = GatedPixelCNN(3, width=8, layers=2, hidden_width=16)
    model = AutoregressiveGrid(network, token_shape=SHAPE, optimizer=optax.adam(2e-2)).model()
    state, step = jax.jit(model.init)(KEY, data), jax.jit(model.train_step)
    for i in range(60):
        state, metrics = step(state, data, jax.random.fold_in(KEY, i))
    assert float(metrics["autoregressive/nats"][0] / 64) == pytest.approx(np.log(3), abs=0.1)
