"""Encoders of texts, and decoders that are given latents."""

import functools

import chex
import jax
import numpy as np
import pytest

from jaxgen.networks.gpt import GPT
from jaxgen.networks.recurrent import RecurrentNetwork
from jaxgen.networks.text_encoder import AttentionEncoder, CaptionEncoder, RecurrentEncoder, TextTransformer

KEY = jax.random.key(0)
TOKENS = jax.random.randint(KEY, (3, 8), 0, 7)
MASK = (np.arange(8) < np.array([[8], [5], [1]])).astype(np.float32)
LATENTS = jax.random.normal(KEY, (3, 2))
ENCODERS = {
    "lstm": RecurrentEncoder(4, 7, 8, "lstm"),
    "gru": RecurrentEncoder(4, 7, 8, "gru"),
    "attention": AttentionEncoder(4, 7, 8, 2, 2),
}
DECODERS = {
    "lstm": RecurrentNetwork(7, 8, 2, "lstm", latent_size=2),
    "gru": RecurrentNetwork(7, 8, 2, "gru", latent_size=2),
    "gpt": GPT(7, 8, 2, 2, 8, positions="rotary", latent_size=2),
}


@pytest.mark.parametrize("name", ["lstm", pytest.param("gru", marks=pytest.mark.slow), "attention"])
def test_what_a_text_is_filled_up_with_is_not_encoded_and_all_of_the_text_is(name):
    encoder = ENCODERS[name]
    variables = jax.jit(functools.partial(encoder.init, train=False))(KEY, TOKENS, MASK)
    apply = jax.jit(functools.partial(encoder.apply, train=False))
    before = apply(variables, TOKENS, MASK)
    chex.assert_shape(before, (3, 4))
    filled = np.where(MASK > 0, TOKENS, (TOKENS + 1) % 7)
    np.testing.assert_allclose(apply(variables, filled, MASK), before, rtol=1e-5, atol=1e-6)
    shorter = apply(variables, TOKENS[:, :5], MASK[:, :5])
    np.testing.assert_allclose(shorter[1:], before[1:], rtol=1e-5, atol=1e-6)

    def squares(table):
        params = {**variables["params"], "embedding": table}
        return (encoder.apply({"params": params}, np.arange(7)[None], np.ones((1, 7)), train=False) ** 2).sum()

    gradient = jax.jit(jax.grad(squares))(variables["params"]["embedding"])  # a row for each place
    assert np.all(np.abs(gradient).max(1) > 0)


@pytest.mark.parametrize("name", ["lstm", pytest.param("gru", marks=pytest.mark.slow), "gpt"])
def test_every_place_depends_on_the_latents_and_steps_give_what_the_whole_gives(name):
    network = DECODERS[name]
    variables = jax.jit(functools.partial(network.init, train=False))(KEY, TOKENS, LATENTS)
    apply = jax.jit(functools.partial(network.apply, train=False))
    step_of = jax.jit(functools.partial(network.apply, method="step"))
    logits = apply(variables, TOKENS, LATENTS)
    others = apply(variables, TOKENS, LATENTS + 1.0)
    assert np.all(np.abs(logits - others).max(-1) > 1e-6)
    future = apply(variables, TOKENS.at[:, 5].add(1) % 7, LATENTS)
    np.testing.assert_allclose(future[:, :5], logits[:, :5], rtol=1e-5, atol=1e-6)
    cache = network.apply(variables, 3, LATENTS, method="start")
    for place in range(8):
        cache, step = step_of(variables, cache, TOKENS[:, place], np.asarray(place), LATENTS)
        np.testing.assert_allclose(step, logits[:, place], rtol=1e-4, atol=1e-5)


CAPTIONS = np.array([[3, 1, 2, 0, 0], [4, 0, 0, 0, 0], [0, 0, 0, 0, 0]], np.int32)
CAPTION_ENCODERS = {
    "mean": CaptionEncoder(4, TextTransformer(7, 8, 2, 2)),
    "last": CaptionEncoder(
        4,
        TextTransformer(
            7, 8, 2, 2, 7, positions="learned", norm="layer", feed_forward="gelu", use_bias=True, causal=True
        ),
        "last",
    ),
}


@pytest.mark.parametrize("pooling", CAPTION_ENCODERS)
def test_padding_changes_no_caption_and_an_empty_one_is_a_vector_too(pooling):
    encoder = CAPTION_ENCODERS[pooling]
    variables = jax.jit(functools.partial(encoder.init, train=False))(KEY, CAPTIONS)
    apply = jax.jit(functools.partial(encoder.apply, train=False))
    vectors = apply(variables, CAPTIONS)
    chex.assert_shape(vectors, (3, 4))
    chex.assert_tree_all_finite(vectors)
    np.testing.assert_allclose(apply(variables, np.pad(CAPTIONS, ((0, 0), (0, 2)))), vectors, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(apply(variables, CAPTIONS[:, :3]), vectors, rtol=1e-4, atol=1e-6)
    other_end = CAPTIONS + np.array([[0, 0, 3, 0, 0], [0] * 5, [0] * 5], np.int32)
    changed = np.abs(apply(variables, other_end) - vectors).max(1) > 1e-6
    np.testing.assert_array_equal(changed, [True, False, False])


@pytest.mark.parametrize("causal", [True, False])
def test_a_place_of_a_text_sees_what_it_may(causal):
    body, inside = TextTransformer(7, 8, 1, 2, causal=causal), np.ones((1, 5), bool)
    variables = body.init(KEY, CAPTIONS[:1], inside)
    apply = jax.jit(body.apply)
    other = CAPTIONS[:1] + np.array([0, 0, 0, 5, 0])
    changed = np.abs(apply(variables, CAPTIONS[:1], inside) - apply(variables, other, inside))
    np.testing.assert_array_equal(changed[0].max(-1) > 1e-6, [not causal] * 3 + [True] * 2)
