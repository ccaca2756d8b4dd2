"""Gated PixelCNN: what each logit depends on, by its Jacobian, and its layers against NumPy."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.networks.layers.convolution import dispatch
from jaxgen.networks.pixel_cnn import GatedPixelCNN

KEY = jax.random.key(0)
HEIGHT, WIDTH, TOKENS = 5, 6, 3


def network(**options):
    return GatedPixelCNN(TOKENS, **{"width": 16, "layers": 4, "first_reach": 2, "hidden_width": 32, **options})


def influence(net, *labels, shape=(HEIGHT, WIDTH)):
    """[T, T]: how far the logits at i (row) move when the token at j (column) changes, in raster order."""
    length = math.prod(shape)
    tokens = jax.random.randint(KEY, (1, *shape), 0, TOKENS)
    variables = jax.jit(lambda: net.init(jax.random.key(1), tokens, *labels, train=False))()
    changed = jnp.tile(tokens.reshape(1, length), (length, 1))
    changed = changed.at[jnp.arange(length), jnp.arange(length)].set((tokens.reshape(-1) + 1) % TOKENS)
    apply = jax.jit(lambda t: net.apply(variables, t, *(jnp.tile(x, len(t)) for x in labels), train=False))
    before = apply(jnp.tile(tokens, (length, 1, 1)))
    after = apply(changed.reshape(-1, *shape))
    return np.abs(after - before).max(-1).reshape(length, length).T


@pytest.mark.parametrize("labels", [(), (jnp.array([1]),)])
def test_a_logit_depends_on_every_token_before_it_and_on_no_other(labels):
    matrix = influence(network(num_classes=4 if labels else None), *labels)
    past = np.tri(HEIGHT * WIDTH, k=-1, dtype=bool)
    np.testing.assert_array_equal(matrix[~past], 0.0)  # to the bit: itself and the future
    assert (matrix[past] > 0).all()


def test_on_a_large_map_a_logit_depends_on_tokens_before_it_alone():
    shape = (11, 12)
    width = 2 * dispatch.THIN  # the form that XLA computes itself
    matrix = influence(network(width=width), shape=shape)
    past = np.tri(math.prod(shape), k=-1, dtype=bool)
    np.testing.assert_array_equal(matrix[~past], 0.0)  # to the bit
    assert np.mean(np.diagonal(matrix, -1) > 0) > 0.5  # not where ReLU is 0


def test_with_one_layer_a_logit_sees_just_its_reach():
    matrix = influence(network(layers=1))
    seen = np.zeros_like(matrix, bool)
    for i in range(HEIGHT):
        for j in range(WIDTH):
            for k in range(HEIGHT):
                for m in range(WIDTH):
                    above = 1 <= i - k <= 2 and abs(j - m) <= 2
                    beside = i == k and 1 <= j - m <= 2
                    seen[i * WIDTH + j, k * WIDTH + m] = above or beside
    np.testing.assert_array_equal(matrix > 0, seen)


def test_the_class_changes_every_logit():
    net = network(num_classes=4)
    tokens = jax.random.randint(KEY, (2, HEIGHT, WIDTH), 0, TOKENS).at[1].set(0).at[0].set(0)
    variables = net.init(KEY, tokens, jnp.array([0, 1]), train=False)
    logits = net.apply(variables, tokens, jnp.array([0, 1]), train=False)
    assert np.abs(logits[0] - logits[1]).max(-1).min() > 0


@pytest.mark.parametrize("num_classes", [None, 4])
@pytest.mark.parametrize("options", [{}, {"reach": 2, "first_reach": 1, "embedding_width": 2}], ids=["near", "far"])
def test_logits_of_one_place_after_the_other_are_those_of_a_whole_pass(options, num_classes):
    net = network(layers=3, num_classes=num_classes, **options)
    tokens = jax.random.randint(KEY, (2, HEIGHT, WIDTH), 0, TOKENS)
    labels = () if num_classes is None else (jnp.array([1, 3]),)
    whole, variables = jax.jit(lambda: net.init_with_output(jax.random.key(1), tokens, *labels, train=False))()

    def at(position, cache):
        later = jnp.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) >= position
        known = jnp.where(later, 0, tokens)  # as while they are drawn
        return net.apply(variables, cache, known, position, *labels, method="logits_at")

    cache, step = net.apply(variables, tokens, *labels, method="start"), jax.jit(at)
    for i in range(HEIGHT * WIDTH):
        cache, logits = step(jnp.int32(i), cache)
        np.testing.assert_allclose(logits, whole[:, i // WIDTH, i % WIDTH], rtol=1e-5, atol=1e-6, err_msg=str(i))
    assert float(whole.std()) > 0.1


def test_the_first_layer_agrees_with_masked_convolutions():
    net = network(layers=1, num_classes=None)
    tokens = jax.random.randint(KEY, (2, HEIGHT, WIDTH), 0, TOKENS)
    logits, variables = net.init_with_output(jax.random.key(1), tokens, train=False)
    layers = variables["params"]

    def dense(name, x):
        return jnp.asarray(x @ layers[name]["kernel"][0, 0] + layers[name].get("bias", 0.0), jnp.float32)

    embedded = dense("embedding", np.eye(TOKENS)[tokens])  # [B, h, w, C]

    def convolved(name, rows, columns):
        """With a 5x5 kernel that is 0 but for these rows and columns."""
        full = np.zeros((5, 5, 16, 32), np.float32)
        full[rows, columns] = layers[name]["kernel"]
        dims = ("NHWC", "HWIO", "NHWC")
        out = jax.lax.conv_general_dilated(embedded, full, (1, 1), "SAME", dimension_numbers=dims)
        return np.asarray(out) + layers[name]["bias"]

    vertical = convolved("vertical_0", slice(0, 2), slice(0, 5))
    horizontal = convolved("horizontal_0", slice(2, 3), slice(0, 2)) + dense("join_0", vertical)
    features, gates = np.split(horizontal, 2, -1)
    out = dense("out_0", np.tanh(features) / (1 + np.exp(-gates)))
    expected = dense("logits", np.maximum(dense("hidden", np.maximum(out, 0)), 0))
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)
