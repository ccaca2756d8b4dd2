"""Gated PixelCNN: what each logit depends on, by its Jacobian, and its layers against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.networks.pixel_cnn import GatedPixelCNN, _shifted

KEY = jax.random.key(0)
HEIGHT, WIDTH, TOKENS = 5, 6, 3


def network(**options):
    return GatedPixelCNN(TOKENS, **{"width": 16, "layers": 4, "first_reach": 2, "hidden_width": 32, **options})


def influence(net, *labels):
    """[T, T]: how far the logits at i (row) move when the token at j (column) changes, in raster order."""
    length = HEIGHT * WIDTH
    tokens = jax.random.randint(KEY, (1, HEIGHT, WIDTH), 0, TOKENS)
    variables = jax.jit(lambda: net.init(jax.random.key(1), tokens, *labels, train=False))()
    changed = jnp.tile(tokens.reshape(1, length), (length, 1))
    changed = changed.at[jnp.arange(length), jnp.arange(length)].set((tokens.reshape(-1) + 1) % TOKENS)
    apply = jax.jit(lambda t: net.apply(variables, t, *(jnp.tile(x, len(t)) for x in labels), train=False))
    before = apply(jnp.tile(tokens, (length, 1, 1)))
    after = apply(changed.reshape(-1, HEIGHT, WIDTH))
    return np.abs(after - before).max(-1).reshape(length, length).T


@pytest.mark.parametrize("labels", [(), (jnp.array([1]),)])
def test_a_logit_depends_on_every_token_before_it_and_on_no_other(labels):
    matrix = influence(network(num_classes=4 if labels else None), *labels)
    past = np.tri(HEIGHT * WIDTH, k=-1, dtype=bool)
    np.testing.assert_array_equal(matrix[~past], 0.0)  # to the bit: itself and the future
    assert (matrix[past] > 0).all()


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


@pytest.mark.parametrize("offset", [(0, 0), (-1, 2), (-2, -1), (0, -3)])
def test_shifted_maps_agree_with_numpys_padding(offset):
    inputs = np.random.default_rng(0).normal(size=(2, 4, 5, 3))
    padded = np.pad(inputs, ((0, 0), (9, 9), (9, 9), (0, 0)))
    expected = padded[:, 9 + offset[0] : 13 + offset[0], 9 + offset[1] : 14 + offset[1]]
    np.testing.assert_allclose(_shifted(jnp.asarray(inputs, jnp.float32), *offset), expected, rtol=1e-6)


def test_the_first_layer_agrees_with_masked_convolutions():
    net = network(layers=1, num_classes=None)
    tokens = jax.random.randint(KEY, (2, HEIGHT, WIDTH), 0, TOKENS)
    logits, variables = net.init_with_output(jax.random.key(1), tokens, train=False)
    layers = variables["params"]
    embedded = np.asarray(layers["embedding"]["kernel"])[tokens]  # [B, h, w, C]

    def convolved(name, taps):
        kernel = np.asarray(layers[name]["kernel"]).reshape(len(taps), 16, 32)
        full = np.zeros((5, 5, 16, 32), np.float32)  # masked: zero but for the taps
        for (down, right), part in zip(taps, kernel, strict=True):
            full[2 + down, 2 + right] = part
        dims = ("NHWC", "HWIO", "NHWC")
        out = jax.lax.conv_general_dilated(embedded, full, (1, 1), "SAME", dimension_numbers=dims)
        return np.asarray(out) + layers[name]["bias"]

    def dense(name, x):
        return x @ layers[name]["kernel"] + layers[name]["bias"]

    vertical = convolved("vertical_0", [(-up, side) for up in (1, 2) for side in range(-2, 3)])
    horizontal = convolved("horizontal_0", [(0, -1), (0, -2)]) + dense("join_0", vertical)
    features, gates = np.split(horizontal, 2, -1)
    out = dense("out_0", np.tanh(features) / (1 + np.exp(-gates)))
    expected = dense("logits", np.maximum(dense("hidden", np.maximum(out, 0)), 0))
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)
