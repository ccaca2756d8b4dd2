"""MADE: what each output depends on, against PyTorch, and its degrees."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax.traverse_util import flatten_dict
from helpers import REFERENCES, subtree

from jaxgen.networks.made import MADE, TokenMADE

KEY = jax.random.key(0)
SIZE, CONTEXT = 6, 3


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def shaken(network, *inputs, **options):
    """Its variables, larger than at the start; no bias is 0."""
    variables = jax.jit(lambda: network.init(KEY, *inputs, **options))()
    return jax.tree.map(lambda x: 1.2 * x + 0.1, variables)


def influence(network, size, *context):
    """[N, L, L]: the largest slope of output i (row) along input j (column), of 20 inputs."""
    variables = shaken(network, normal(0, 1, size), *context)
    slopes = jax.jacobian(lambda x: network.apply(variables, x[None], *context)[0])
    return np.abs(jax.jit(jax.vmap(slopes))(normal(0, 20, size))).max(0)


@pytest.mark.parametrize(("size", "width"), [(1, 8), (SIZE, 3), (SIZE, 8)])
def test_with_all_degrees_in_turn_an_output_depends_on_earlier_inputs_alone_and_on_all_of_them(size, width):
    for matrix in influence(MADE((width, width)), size, normal(1, 1, CONTEXT)):
        np.testing.assert_array_equal(np.triu(matrix), 0)
        if width >= size:
            assert np.all(matrix[np.tril_indices(size, -1)] != 0)


@pytest.mark.parametrize("widths", [(20,), (40, 40)])
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("direct", [False, True])
def test_with_drawn_degrees_an_output_depends_on_earlier_inputs_alone_and_on_some_of_them(widths, seed, direct):
    network = MADE(widths, 1, jax.nn.relu, degrees_seed=seed, direct=direct)
    (matrix,) = influence(network, SIZE)
    np.testing.assert_array_equal(np.triu(matrix), 0)
    assert np.all(matrix[1:, 0] > 0)
    if direct:
        assert np.all(matrix[np.tril_indices(SIZE, -1)] > 0)


def test_every_output_depends_on_the_context():
    network, inputs, context = MADE((8,)), normal(0, 1, SIZE), normal(1, 1, CONTEXT)
    variables = shaken(network, inputs, context)
    jacobian = jax.jit(jax.jacobian(lambda c: network.apply(variables, inputs, c[None])[0]))(context[0])
    assert np.all(jacobian != 0)


@pytest.mark.parametrize("num_tokens", [2, 4])
def test_a_logit_depends_on_every_token_before_it_and_on_no_other(num_tokens):
    network, shape, length = TokenMADE(num_tokens, (64,), direct=True), (3, 4), 12
    tokens = jax.random.randint(KEY, (1, *shape), 0, num_tokens)
    variables = shaken(network, tokens, train=False)
    changed = jnp.tile(tokens.reshape(1, length), (length, 1))
    changed = changed.at[jnp.arange(length), jnp.arange(length)].set((tokens.reshape(-1) + 1) % num_tokens)
    before, after = (
        network.apply(variables, grids.reshape(-1, *shape), train=False).reshape(-1, length, num_tokens)
        for grids in (jnp.tile(tokens, (length, 1, 1)), changed)
    )
    matrix = np.abs(after - before).max(-1).T  # [i, j]: how far the logits at i move when the token at j changes
    past = np.tri(length, k=-1, dtype=bool)
    np.testing.assert_array_equal(matrix[~past], 0.0)
    assert (matrix[past] > 0).all()


def test_the_class_changes_logits():
    network, tokens = TokenMADE(2, (64,), num_classes=4), jnp.zeros((2, 3, 4), jnp.int32)
    labels = jnp.array([0, 1])
    logits = network.apply(shaken(network, tokens, labels, train=False), tokens, labels, train=False)
    np.testing.assert_array_equal(logits[..., 0], 0.0)
    assert np.abs(logits[0] - logits[1])[..., 1].min() > 0


def test_probabilities_and_gradients_are_those_of_pytorch():
    arrays = np.load(REFERENCES / "made.npz")

    network, tokens = TokenMADE(2, (7, 6), degrees_seed=3, direct=True), arrays["tokens"].reshape(-1, 3, 3)

    def nats(params):
        logits = network.apply({"params": params}, tokens, train=False)
        return optax.softmax_cross_entropy_with_integer_labels(logits, tokens).sum((1, 2))

    with jax.enable_x64(True):
        params = subtree(arrays, "params/")
        values, gradient = nats(params), jax.grad(lambda p: nats(p).sum())(params)
    np.testing.assert_allclose(values, arrays["nats"], rtol=1e-9)
    expected = flatten_dict(subtree(arrays, "gradient/"))
    assert flatten_dict(gradient).keys() == expected.keys()
    for path, value in flatten_dict(gradient).items():
        np.testing.assert_allclose(value, expected[path], rtol=1e-9, atol=1e-12, err_msg=str(path))


def test_drawn_degrees_are_those_that_checkpoints_were_trained_with():
    first, second = MADE((6, 5), degrees_seed=0)._hidden_degrees(784, 1)
    np.testing.assert_array_equal(first, [685, 560, 630, 193, 764, 708])
    assert second.min() >= 193
    assert second.max() < 784
