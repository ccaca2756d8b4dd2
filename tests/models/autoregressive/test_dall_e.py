"""The transformer over captions and codes: its tokens, what depends on what, its loss and its draws by hand."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import TINY_LAYOUT, TINY_PROMPTS, tiny_captioned, tiny_dall_e_spec

from jaxgen.core.keys import example_keys, folded_keys
from jaxgen.data import example_batch
from jaxgen.models.autoregressive import dall_e
from jaxgen.models.autoregressive.decoding import SamplingParams, choose

KEY = jax.random.key(0)
logits = jax.jit(dall_e.logits, static_argnums=0)
CODES = jnp.array([[[0, 5], [2, 1]], [[3, 3], [4, 0]], [[5, 1], [1, 2]]])


@pytest.fixture(scope="module")
def spec_and_state():
    spec = tiny_dall_e_spec(caption_in_training=None, shift=0, caption_dropout=0.0)
    return spec, jax.jit(spec.model().init)(jax.random.key(1), example_batch(tiny_captioned(), 2))


def test_each_position_of_a_caption_has_its_own_padding_and_codes_come_after_it():
    tokens = TINY_LAYOUT.tokens(jnp.asarray(TINY_PROMPTS), CODES)
    np.testing.assert_array_equal(tokens[0], [0, 1, 2, 3, 8, 9, 10, 15, 12, 11])
    np.testing.assert_array_equal(tokens[2, :6], [0, 1, 1, 1, 1, 1])
    assert int(tokens.max()) < TINY_LAYOUT.vocabulary_size == 5 + 5 + 6
    assert tokens.shape[1] == TINY_LAYOUT.context + 1


def test_a_caption_does_not_see_codes_and_codes_do_not_see_later_ones(spec_and_state):
    spec, state = spec_and_state
    text, image = logits(spec, state, TINY_PROMPTS, CODES)
    chex.assert_shape(text, (3, 5, 10))
    chex.assert_shape(image, (3, 4, 6))
    other_text, other_image = logits(spec, state, TINY_PROMPTS, CODES.at[:, 1, 0].add(1) % 6)
    np.testing.assert_array_equal(other_text, text)
    np.testing.assert_array_equal(other_image[:, :3], image[:, :3])
    assert not np.allclose(other_image[:, 3], image[:, 3])
    changed = TINY_PROMPTS.copy()
    changed[:, 0] = 4
    later = logits(spec, state, changed, CODES)[1]
    assert not np.allclose(later[0], image[0])  # every code sees the caption
    np.testing.assert_array_equal(later[1], image[1])  # whose first token is 4 already


def test_the_loss_is_an_eighth_of_the_text_and_seven_of_the_image(spec_and_state):
    spec, state = spec_and_state
    batch = example_batch(tiny_captioned(), 6)
    metrics = {
        name: total / weight for name, (total, weight) in jax.jit(spec.model().eval_step)(state, batch, KEY).items()
    }
    # The first stage binarizes gray pixels at random, so its codes are not known here: text first, then the sum.
    captions = np.asarray(batch["caption"])
    text = jax.nn.log_softmax(logits(spec, state, captions, jnp.zeros((6, 2, 2), int))[0])
    targets = TINY_LAYOUT.begin(jnp.asarray(captions))[:, 1:]
    nats = -np.take_along_axis(np.asarray(text), np.asarray(targets)[..., None], -1).mean()
    assert float(metrics["dall_e/text_nats"]) == pytest.approx(nats, rel=1e-5)
    expected = metrics["dall_e/text_nats"] / 8 + 7 / 8 * metrics["dall_e/image_nats"]
    assert float(metrics["dall_e/loss"]) == pytest.approx(float(expected), rel=1e-5)
    assert float(metrics["dall_e/nats"]) == pytest.approx(4 * float(metrics["dall_e/image_nats"]), rel=1e-5)


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_cached_draws_are_those_of_whole_passes(spec_and_state, guidance):
    spec, state = spec_and_state
    choice = SamplingParams(temperature=0.8)
    options = {"guidance": guidance, "choice": choice}
    draw = jax.jit(lambda state, captions: dall_e.sample_codes(spec, state, KEY, captions, **options))
    drawn = draw(state, jnp.asarray(TINY_PROMPTS))
    keys, codes = example_keys(KEY, jnp.arange(3, dtype=jnp.uint32)), jnp.zeros((3, 4), int)
    for i in range(4):
        own, free = (
            logits(spec, state, captions, codes.reshape(3, 2, 2))[1][:, i]
            for captions in (TINY_PROMPTS, np.zeros_like(TINY_PROMPTS))
        )
        chosen = choose(free + guidance * (own - free), folded_keys(keys, 6 + i), choice)
        codes = codes.at[:, i].set(chosen)
    np.testing.assert_array_equal(drawn.reshape(3, 4), codes)


@pytest.mark.slow
def test_samples_are_of_the_prompts_in_turn_and_the_same_however_many(spec_and_state):
    spec, state = spec_and_state
    np.testing.assert_array_equal(spec.model().condition.of_samples(5), TINY_PROMPTS[[0, 1, 2, 0, 1]])
    five = dall_e.sample(spec, state, KEY, 5)
    for options in ({}, {"condition": jnp.asarray(TINY_PROMPTS)}):  # the same codes; sums in another order decode them
        np.testing.assert_allclose(dall_e.sample(spec, state, KEY, 3, **options), five[:3], rtol=1e-4, atol=1e-6)
