"""Autoregressive models: likelihoods, sampling, the contract's promises with tokens, and a frozen first stage."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.stats
from helpers import floats
from tiny import optimiser, tiny_first_stage, tiny_images, tiny_two_stages

from jaxgen.data import Dataset, example_batch
from jaxgen.data.dataset import as_stored
from jaxgen.models.autoregressive import autoregressive
from jaxgen.networks.pixel_cnn import GatedPixelCNN

KEY = jax.random.key(0)
SHAPE, TOKENS = (2, 3), 3


@functools.cache
def tiny_model(num_classes=None):
    network = GatedPixelCNN(TOKENS, width=4, layers=2, hidden_width=8, num_classes=num_classes)
    return autoregressive(network, token_shape=SHAPE, num_classes=num_classes, optimiser=optimiser())


def tiny_tokens(examples=50):
    rng = np.random.default_rng(0)
    arrays = {"tokens": rng.integers(0, TOKENS, (examples, *SHAPE), np.uint8)}
    arrays["label"] = rng.integers(0, 4, examples).astype(np.int32)
    return Dataset("tokens", arrays, None, "text", as_stored)


@functools.cache
def sharpened(num_classes=None):
    """A state whose logits are far from equal."""
    state = jax.jit(tiny_model(num_classes).init)(KEY, example_batch(tiny_tokens(), 2))
    return state.replace(params=jax.tree.map(lambda x: 3.0 * x, state.params))


def test_probabilities_of_all_grids_add_up_to_one():
    model, state = tiny_model(), sharpened()
    grids = jnp.array(list(itertools.product(range(TOKENS), repeat=6))).reshape(-1, *SHAPE)
    log_probs = np.asarray(jax.jit(model.functions["log_prob"])(state, grids), np.float64)
    assert np.exp(log_probs).sum() == pytest.approx(1, abs=1e-4)
    assert log_probs.std() > 0.3


def test_samples_come_as_often_as_their_probability_says():
    model, state = tiny_model(), sharpened()
    grids = jnp.array(list(itertools.product(range(TOKENS), repeat=6))).reshape(-1, *SHAPE)
    probabilities = np.exp(np.asarray(jax.jit(model.functions["log_prob"])(state, grids), np.float64))
    tokens, _ = jax.jit(lambda key: model.functions["sample_tokens"](state, key, 4_000))(KEY)
    numbers = np.asarray(tokens).reshape(-1, 6) @ (TOKENS ** np.arange(5, -1, -1))
    counts = np.bincount(numbers, minlength=len(grids))
    common = probabilities > 10 / 4_000
    observed = np.append(counts[common], counts[~common].sum())
    expected = np.append(probabilities[common], 1 - probabilities[common].sum()) * 4_000
    assert scipy.stats.chisquare(observed, expected).pvalue > 1e-3


@pytest.mark.parametrize("num_classes", [None, 4])
def test_the_likelihood_while_sampling_is_the_teacher_forced_one(num_classes):
    model, state = tiny_model(num_classes), sharpened(num_classes)
    condition = () if num_classes is None else (jnp.arange(20) % 4,)
    tokens, log_probs = jax.jit(lambda *c: model.functions["sample_tokens"](state, KEY, 20, *c))(*condition)
    forced = jax.jit(model.functions["log_prob"])(state, tokens, *condition)
    np.testing.assert_allclose(log_probs, forced, rtol=1e-4, atol=1e-4)
    assert float(log_probs.std()) > 0.1


def test_a_sample_belongs_to_its_number_and_its_class():
    model, state = tiny_model(4), sharpened(4)
    many, few = (np.asarray(model.sample(state, KEY, n)) for n in (20, 8))
    np.testing.assert_array_equal(many[:8], few)
    assert len(np.unique(many, axis=0)) > 5
    np.testing.assert_array_equal(model.functions["conditions"](6), [0, 1, 2, 3, 0, 1])
    other = np.asarray(model.sample(state, KEY, 20, condition=jnp.full(20, 2)))
    np.testing.assert_array_equal(other[2::4], many[2::4])
    assert not np.array_equal(other, many)
    with pytest.raises(ValueError, match="unconditional"):
        tiny_model().sample(state, KEY, 2, condition=jnp.zeros(2))


def test_the_loss_is_cross_entropy_per_token_and_nats_per_example():
    model, state = tiny_model(), sharpened()
    batch = example_batch(tiny_tokens(), 5)
    metrics = jax.jit(model.eval_step)(state, batch, KEY)
    log_prob = jax.jit(model.functions["log_prob"])(state, batch["tokens"].astype(jnp.int32))
    assert float(metrics["autoregressive/nats"][0]) == pytest.approx(-float(log_prob.sum()), rel=1e-5)
    assert float(metrics["autoregressive/loss"][0]) == pytest.approx(-float(log_prob.sum()) / 6, rel=1e-5)


# ---------------------------------------------------------------- the contract, where its table of cases does not reach


def test_a_first_stage_stays_frozen_and_its_decoder_makes_the_samples():
    first, first_state = tiny_first_stage()
    model, batch = tiny_two_stages(), example_batch(tiny_images(), 16)
    state, step = jax.jit(model.init)(KEY, batch), jax.jit(model.train_step)
    for i in range(2):
        state, _ = step(state, batch, jax.random.fold_in(KEY, i))
    frozen = state.model_state["frozen"]
    for name in ("params", "model_state"):
        for (path, old), (_, new) in zip(floats(getattr(first_state, name)), floats(frozen[name]), strict=True):
            np.testing.assert_array_equal(new, old, err_msg=path)
    images, (tokens, _) = jax.jit(
        lambda state: (model.sample(state, KEY, 5), model.functions["sample_tokens"](state, KEY, 5))
    )(state)
    assert images.shape == (5, 8, 8, 1)
    np.testing.assert_allclose(images, first.functions["decode_codes"](first_state, tokens), rtol=1e-5, atol=1e-6)


def test_training_finds_what_tokens_have_in_common():
    rows = np.tile(np.arange(3), (64, 2, 1)) + np.random.default_rng(1).integers(0, 3, (64, 1, 1))
    data = {"tokens": jnp.asarray(rows % 3), "index": jnp.arange(64)}  # the first token says all
    network = GatedPixelCNN(TOKENS, width=8, layers=2, hidden_width=16)
    model = autoregressive(network, token_shape=SHAPE, optimiser=optax.adam(2e-2))
    state, step = jax.jit(model.init)(KEY, data), jax.jit(model.train_step)
    for i in range(60):
        state, metrics = step(state, data, jax.random.fold_in(KEY, i))
    assert float(metrics["autoregressive/nats"][0] / 64) == pytest.approx(np.log(3), abs=0.1)
