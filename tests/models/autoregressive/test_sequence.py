"""Sequences: the loss over tokens, gradients of parts, and what a trained network says."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tiny import tiny_gpt, tiny_rnn, tiny_speech, tiny_text, tiny_wavenet

from jaxgen.core.errors import UserError
from jaxgen.data import example_batch
from jaxgen.models.autoregressive.decoding import SamplingParams
from jaxgen.models.autoregressive.outputs import softmax
from jaxgen.models.autoregressive.sequences import SequenceModel
from jaxgen.networks.gpt import GPT
from jaxgen.networks.recurrent import RecurrentNetwork

KEY = jax.random.key(0)


def batch_of(size=8, **more):
    return {**example_batch(tiny_text(), size), **more}


def test_the_loss_is_the_mean_over_tokens_of_minus_log_p_of_the_next():
    model, batch = tiny_gpt(), batch_of()
    state = model.init(KEY, batch)
    total, count = model.eval_step(state, batch, KEY)["autoregressive/loss"]
    tokens = batch["tokens"].astype(int)
    log_p = jax.nn.log_softmax(model.tokens.logits(state, tokens[:, :-1]))
    chosen = [log_p[i, t, tokens[i, t + 1]] for i in range(8) for t in range(6)]
    assert int(count) == 8 * 6
    assert float(total) == pytest.approx(-sum(map(float, chosen)), rel=1e-5)


def test_tokens_of_weight_0_are_as_if_they_were_not_there():
    model, batch = tiny_gpt(), batch_of()
    state = model.init(KEY, batch)
    weights = jnp.ones((8, 6)).at[3:, 2:].set(0.0)
    other = {**batch, "tokens": batch["tokens"].at[3:, 3:].set(0), "weights": weights}
    total, count = model.eval_step(state, {**batch, "weights": weights}, KEY)["autoregressive/loss"]
    total_other, _ = model.eval_step(state, other, KEY)["autoregressive/loss"]
    assert int(count) == 3 * 6 + 5 * 2
    assert float(total) == pytest.approx(float(total_other), rel=1e-6)


@pytest.mark.parametrize(("micro_batches", "uneven"), [(2, True), pytest.param(8, False, marks=pytest.mark.slow)])
def test_a_step_in_parts_is_the_step_of_the_whole(micro_batches, uneven):
    """Also where the parts hold different numbers of tokens, since losses are divided by the number of all."""
    batch = batch_of()
    if uneven:
        lengths = jnp.asarray([6, 1, 1, 1, 2, 6, 0, 3])[:, None]
        batch["weights"] = (jnp.arange(6) < lengths).astype(jnp.float32)
    states, metrics = [], []
    for parts in (1, micro_batches):
        model = tiny_gpt(micro_batches=parts)
        state, reported = jax.jit(model.train_step)(model.init(KEY, batch), batch, jax.random.key(5))
        states.append(state.params)
        metrics.append(reported)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), *states)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), *metrics)


def test_a_batch_that_cannot_be_cut_is_refused():
    model = tiny_gpt(micro_batches=3)
    with pytest.raises(UserError, match="8 examples of a device cannot be taken in 3 parts"):
        model.train_step(model.init(KEY, batch_of()), batch_of(), KEY)


@pytest.mark.parametrize(
    "network",
    [
        pytest.param(GPT(3, 24, layers=1, heads=1, width=16), id="gpt", marks=pytest.mark.slow),
        pytest.param(RecurrentNetwork(3, 16, 1), id="lstm", marks=pytest.mark.slow),
    ],
)
def test_a_network_trained_on_a_rhythm_goes_on_with_it(network):
    """1 1 2 0 1 1 2 0 ...: what comes next depends on the last two tokens."""
    text = np.tile([1, 1, 2, 0], 30)
    windows = np.stack([text[i : i + 25] for i in range(64)])
    batch = {"tokens": jnp.asarray(windows), "index": jnp.arange(64, dtype=jnp.uint32)}
    model = SequenceModel(network, optimizer=optax.adam(1e-2)).model()

    @jax.jit
    def train(state):
        return jax.lax.fori_loop(0, 200, lambda _, s: model.train_step(s, batch, KEY)[0], state)

    state = train(model.init(KEY, batch))
    assert float(model.eval_step(state, batch, KEY)["autoregressive/accuracy"][0]) > 0.93 * 64 * 24
    begin, advance = model.tokens.begin, model.tokens.advance
    decoding = advance(state, begin(state, KEY, jnp.asarray([[1, 2]]), [2], 20), 20, SamplingParams(temperature=0.0))
    np.testing.assert_array_equal(decoding.tokens[0], np.tile([1, 1, 2, 0], 10)[1:23])


def test_samples_begin_after_the_first_token_and_have_the_length_asked_for():
    model = tiny_rnn("gru")
    state = model.init(KEY, batch_of())
    assert model.tokens.first_token == 0
    short, longer = (model.sample(state, KEY, 3, num_tokens=n) for n in (4, 7))
    chex.assert_shape(longer, (3, 7))
    np.testing.assert_array_equal(short, longer[:, :4])
    with pytest.raises(ValueError, match="unconditional"):
        model.sample(state, KEY, 3, condition=jnp.zeros(3))


@pytest.mark.slow
def test_samples_follow_their_condition_and_take_that_of_conditions_where_none_is_given():
    """With weights so large that the condition decides."""
    model = tiny_wavenet(softmax())
    state = model.init(KEY, example_batch(tiny_speech(), 2))
    state = state.replace(ema_params=jax.tree.map(lambda x: 3.0 * x, state.ema_params))
    own = model.condition.of_samples(6)
    (said,) = own
    draw = jax.jit(lambda condition: model.sample(state, KEY, 6, condition=condition))
    np.testing.assert_array_equal(model.sample(state, KEY, 6), draw(own))
    others = draw((said._replace(label=(said.label + 1) % 3),))
    assert not np.array_equal(others, draw(own))
    begin, advance = model.tokens.begin, model.tokens.advance
    decoding = advance(state, begin(state, KEY, jnp.zeros((6, 1), int), [1] * 6, 9, *own), 9)
    np.testing.assert_array_equal(decoding.tokens[:, 1:], draw(own))
    tokens = jnp.zeros((6, 5), int)
    logits = [
        model.tokens.logits(state, tokens, *condition) for condition in (own, (said._replace(start=said.start + 4),))
    ]
    assert np.abs(logits[0] - logits[1]).max() > 1e-3


@pytest.mark.slow
def test_the_loss_depends_on_the_condition_of_the_batch():
    model, batch = tiny_wavenet(softmax()), example_batch(tiny_speech(), 8)
    state = model.init(KEY, batch)
    losses = jax.jit(lambda batch: model.eval_step(state, batch, KEY)["autoregressive/loss"][0])
    for name in ("label", "characters", "start", "length"):
        other = {
            **batch,
            name: jnp.roll(batch[name] + batch["index"].reshape(-1, *[1] * (batch[name].ndim - 1)) % 2, 1),
        }
        assert float(losses(other)) != float(losses(batch)), name
