"""The GPT against transformers' GPT-2 and Llama, its causality, and what its options promise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import REFERENCES

from jaxgen.networks.gpt import GPT
from jaxgen.runs.hugging_face import load_gpt2

KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def arrays():
    return dict(np.load(REFERENCES / "sequence_networks.npz"))


def logits_of(network, tokens, *, train=False, **options):
    variables = network.init(KEY, tokens, train=False)
    return network.apply(variables, tokens, train=train, **options)


def test_logits_are_those_of_a_gpt2_of_transformers(arrays):
    network, params = load_gpt2(REFERENCES / "gpt2")
    logits = jax.jit(lambda tokens: network.apply({"params": params}, tokens, train=False))(arrays["gpt2/tokens"])
    np.testing.assert_allclose(logits, arrays["gpt2/logits"], atol=2e-5)


def test_with_the_later_options_logits_are_those_of_a_llama_of_transformers(arrays):
    """Rotary positions, RMS norm, SwiGLU, and keys and values shared by two heads each."""
    options = {"positions": "rotary", "norm": "rms", "feed_forward": "swiglu", "key_value_heads": 2}
    network = GPT(17, 12, layers=2, heads=4, width=24, **options)
    state = {name.removeprefix("llama/state/model."): value for name, value in arrays.items()}
    params = {"token_embedding": state["embed_tokens.weight"], "final_norm": {"scale": state["norm.weight"]}}
    for i in range(2):
        layer = {
            name: np.concatenate([state[f"layers.{i}.{part}.weight"].T for part in parts], 1)
            for name, parts in {
                "queries_keys_values": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
                "attention_output": ("self_attn.o_proj",),
                "hidden": ("mlp.gate_proj", "mlp.up_proj"),
                "output": ("mlp.down_proj",),
            }.items()
        }
        params[f"block_{i}"] = {name: {"kernel": kernel} for name, kernel in layer.items()} | {
            "attention_norm": {"scale": state[f"layers.{i}.input_layernorm.weight"]},
            "feed_forward_norm": {"scale": state[f"layers.{i}.post_attention_layernorm.weight"]},
        }
    tokens = arrays["llama/tokens"]
    shapes = jax.eval_shape(lambda: network.init(KEY, tokens, train=False))["params"]
    assert jax.tree.map(lambda x: x.shape, shapes) == jax.tree.map(lambda x: x.shape, params)
    logits = jax.jit(lambda tokens: network.apply({"params": params}, tokens, train=False))(tokens)
    np.testing.assert_allclose(logits, arrays["llama/logits"], atol=5e-5)


@pytest.mark.parametrize("options", [{}, {"positions": "rotary", "norm": "rms", "feed_forward": "swiglu"}])
def test_future_tokens_do_not_change_past_logits_and_past_ones_do(options):
    network = GPT(7, 10, layers=2, heads=2, width=8, **options)
    tokens = jax.random.randint(KEY, (2, 10), 0, 7)

    @jax.jit
    def run(tokens):
        variables = jax.tree.map(lambda x: 10 * x, network.init(KEY, tokens, train=False))
        return network.apply(variables, tokens, train=False)

    before, after = run(tokens), run(tokens.at[:, 6].add(1) % 7)
    np.testing.assert_array_equal(before[:, :6], after[:, :6])
    assert np.all(np.abs(before - after)[:, 6:].max(-1) > 1e-4)


@pytest.mark.slow
def test_the_logits_of_a_place_depend_by_gradient_on_just_the_embeddings_up_to_it():
    """Through the learned positions, which belong to one place each."""
    network = GPT(7, 10, layers=2, heads=2, width=8)
    tokens = jax.random.randint(KEY, (1, 10), 0, 7)
    params = jax.tree.map(lambda x: 10 * x, network.init(KEY, tokens, train=False)["params"])
    weights = jax.random.normal(jax.random.key(1), (7,))

    def logit(positions):
        logits = network.apply({"params": {**params, "position_embedding": positions}}, tokens, train=False)
        return logits[0, 4] @ weights

    reached = jnp.abs(jax.grad(logit)(params["position_embedding"])).max(-1) > 0
    np.testing.assert_array_equal(reached, np.arange(10) <= 4)


@pytest.mark.slow
def test_computing_activations_again_changes_no_gradient():
    tokens = jax.random.randint(KEY, (2, 6), 0, 7)
    options = {"layers": 2, "heads": 2, "width": 8, "dropout": 0.3}
    keys = jax.random.split(KEY, 2)

    def gradient(remat):
        network = GPT(7, 6, **options, remat=remat)
        variables = network.init(KEY, tokens, train=False)
        loss = lambda v: jnp.square(network.apply(v, tokens, train=True, dropout_keys=keys)).mean()  # noqa: E731
        return jax.jit(jax.grad(loss))(variables)

    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-7), gradient(False), gradient(True))


@pytest.mark.slow
def test_bfloat16_products_come_near_the_logits_of_float32_and_parameters_stay_float32():
    tokens = jax.random.randint(KEY, (2, 6), 0, 7)
    networks = [GPT(7, 6, layers=2, heads=2, width=16, dtype=dtype) for dtype in (None, jnp.bfloat16)]
    variables = networks[1].init(KEY, tokens, train=False)
    assert {x.dtype for x in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    exact, near = (network.apply(variables, tokens, train=False) for network in networks)
    assert near.dtype == jnp.float32
    assert 0 < np.abs(exact - near).max() < 0.02 * np.abs(exact).max()


def test_dropout_belongs_to_the_example_and_is_off_where_nothing_is_trained():
    network = GPT(7, 6, layers=2, heads=2, width=8, dropout=0.5)
    tokens = jnp.tile(jax.random.randint(KEY, (1, 6), 0, 7), (3, 1))
    keys = jax.random.split(KEY, 3).at[2].set(jax.random.split(KEY, 3)[0])
    dropped = logits_of(network, tokens, train=True, dropout_keys=keys)
    np.testing.assert_allclose(dropped[0], dropped[2], atol=1e-6)
    assert np.abs(dropped[0] - dropped[1]).max() > 1e-3
    plain = logits_of(network, tokens)
    np.testing.assert_allclose(plain[0], plain[1], atol=1e-6)
    assert np.abs(plain[0] - dropped[0]).max() > 1e-3


def test_gpt2_has_124_million_parameters():
    """Radford et al. 2019, table 2, whose 117 million were counted wrongly: 124,439,808 in their release."""
    network = GPT(50_257, 1024, layers=12, heads=12, width=768, use_bias=True, feed_forward="gelu_tanh")
    shapes = jax.eval_shape(lambda: network.init(KEY, jnp.zeros((1, 2), jnp.int32), train=False))
    assert sum(x.size for x in jax.tree.leaves(shapes)) == 124_439_808
