"""Encoders of texts, and decoders that are given latents."""

import functools

import jax
import numpy as np
import pytest

from jaxgen.networks.gpt import GPT
from jaxgen.networks.recurrent import RecurrentNetwork
from jaxgen.networks.text_encoder import AttentionEncoder, RecurrentEncoder

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
    assert before.shape == (3, 4)
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
