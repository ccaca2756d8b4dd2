"""Tokens drawn with caches: the same as without, for networks with and without a context."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from jaxgen.models.autoregressive.decoding import Decoder, SamplingParams, advance, begin, choose, window_start
from jaxgen.networks.gpt import GPT
from jaxgen.networks.recurrent import RecurrentNetwork
from jaxgen.networks.wavenet import WaveNet

VOCABULARY, CONTEXT = 11, 8
NETWORKS = {
    "gpt": GPT(VOCABULARY, CONTEXT, layers=2, heads=2, width=8),
    "gpt_with_rotary_positions_and_shared_keys": GPT(
        VOCABULARY,
        CONTEXT,
        layers=2,
        heads=4,
        width=16,
        key_value_heads=2,
        use_bias=True,
        positions="rotary",
        norm="rms",
        feed_forward="swiglu",
    ),
    "lstm": RecurrentNetwork(VOCABULARY, 8, 2, "lstm"),
    "gru": RecurrentNetwork(VOCABULARY, 8, 1, "gru", tied=True),
    "wavenet": WaveNet(VOCABULARY, width=8, gate_width=8, skip_width=8, dilations=(1, 2, 4)),
}


@functools.cache
def variables_of(name: str):
    """Weights that make the network sure of itself: random ones twenty times as large."""
    variables = NETWORKS[name].init(jax.random.key(1), jnp.zeros((2, 5), jnp.int32), train=False)
    return jax.tree.map(lambda x: x if x.ndim < 2 else 20 * x, variables) if "gpt" in name else variables


def decoded(
    name: str, prompts: Array, lengths: list[int], num_tokens: int, params: SamplingParams, counts: list[int]
) -> Array:
    decoder = Decoder(NETWORKS[name])
    decoding = begin(decoder, variables_of(name), jax.random.key(5), prompts, lengths, num_tokens)
    go_on = jax.jit(functools.partial(advance, decoder))
    for count in counts:
        decoding = go_on(variables_of(name), decoding, count, params)
    return np.asarray(decoding.tokens)


def drawn_without_a_cache(
    name: str, prompts: Array, lengths: list[int], num_tokens: int, params: SamplingParams
) -> Array:
    """Make one pass over the whole window for each token (padded with zeros, so that one length is compiled)."""
    network, variables = NETWORKS[name], variables_of(name)
    context = getattr(network, "context", None)
    size = context or prompts.shape[1] + num_tokens
    apply = jax.jit(functools.partial(network.apply, train=False))
    rows = jnp.arange(len(prompts), dtype=jnp.uint32)
    keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(5), rows)
    tokens = np.zeros((len(prompts), prompts.shape[1] + num_tokens), np.int32)
    tokens[:, : prompts.shape[1]] = prompts
    for position in range(tokens.shape[1] - 1):
        start = 0 if context is None else window_start(position, context)
        window = np.zeros((len(tokens), size), np.int32)
        window[:, : position + 1 - start] = tokens[:, start : position + 1]
        logits = apply(variables, window)[:, position - start]
        chosen = choose(logits, jax.vmap(jax.random.fold_in, (0, None))(keys, position + 1), params)
        for row, length in enumerate(lengths):
            if position + 1 >= length:
                tokens[row, position + 1] = chosen[row]
    return tokens


PROMPTS = np.asarray([[3, 1, 4, 1, 5], [9, 2, 6, 0, 0]], np.int32), [5, 3]


QUICK = ("gpt_with_rotary_positions_and_shared_keys", "lstm")
EVERY_NETWORK = [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in NETWORKS]


@pytest.mark.parametrize("name", EVERY_NETWORK)
def test_tokens_drawn_with_a_cache_are_those_drawn_without(name):
    """Of prompts of different lengths, past the end of the context twice, in pieces of different lengths."""
    arguments = (name, *PROMPTS, 14, SamplingParams())
    cached = decoded(*arguments, [3, 1, 100])
    np.testing.assert_array_equal(cached, drawn_without_a_cache(*arguments))
    assert len(np.unique(cached)) > 3


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gpt", pytest.param("lstm", marks=pytest.mark.slow)])
def test_a_prompt_longer_than_the_context_is_gone_on_with(name):
    prompts = np.arange(2 * 13, dtype=np.int32).reshape(2, 13) % VOCABULARY
    arguments = (name, prompts, [13, 12], 6, SamplingParams())
    np.testing.assert_array_equal(decoded(*arguments, [100]), drawn_without_a_cache(*arguments))


@pytest.mark.slow
def test_prompts_are_kept_and_rows_do_not_depend_on_each_other():
    prompts, lengths = PROMPTS
    both = decoded("gpt", prompts, lengths, 6, SamplingParams(), [100])
    for row, length in enumerate(lengths):
        np.testing.assert_array_equal(both[row, :length], prompts[row, :length])
    alone = decoded("gpt", prompts[:1], lengths[:1], 6, SamplingParams(), [100])
    np.testing.assert_array_equal(alone[0], both[0])


def test_no_temperature_takes_the_likeliest_token():
    logits = jax.random.normal(jax.random.key(0), (6, VOCABULARY))
    keys = jax.random.split(jax.random.key(1), 6)
    np.testing.assert_array_equal(choose(logits, keys, SamplingParams(0.0)), jnp.argmax(logits, -1))


@pytest.mark.parametrize(
    ("params", "possible"),
    [
        (SamplingParams(), {0, 1, 2, 3}),
        (SamplingParams(top_k=2), {0, 2}),
        (SamplingParams(top_k=100), {0, 1, 2, 3}),
        (SamplingParams(top_p=0.5), {2}),
        (SamplingParams(top_p=0.51), {0, 2}),
        (SamplingParams(top_p=0.9), {0, 1, 2}),
        (SamplingParams(top_p=1.0), {0, 1, 2, 3}),
    ],
)
def test_only_the_likeliest_tokens_are_drawn(params, possible):
    """Of probabilities 0.3, 0.15, 0.5, 0.05."""
    logits = jnp.log(jnp.asarray([[0.3, 0.15, 0.5, 0.05]])).repeat(4000, 0)
    drawn = choose(logits, jax.random.split(jax.random.key(0), 4000), params)
    assert set(np.unique(drawn).tolist()) == possible


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_tokens_are_drawn_as_often_as_their_probability_at_a_temperature_says(temperature):
    probabilities = np.asarray([0.3, 0.15, 0.5, 0.05])
    logits = jnp.log(jnp.asarray(probabilities))[None].repeat(20_000, 0)
    drawn = choose(logits, jax.random.split(jax.random.key(0), 20_000), SamplingParams(temperature))
    expected = probabilities ** (1 / temperature)
    shares = np.bincount(np.asarray(drawn), minlength=4) / 20_000
    np.testing.assert_allclose(shares, expected / expected.sum(), atol=0.015)
