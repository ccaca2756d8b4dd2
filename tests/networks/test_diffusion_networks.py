"""U-Net and DiT: shapes, what they are at first, what a place depends on; group norm and attention in NumPy."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from jaxgen.core.errors import UserError
from jaxgen.networks.dit import DiT
from jaxgen.networks.layers.attention import attend
from jaxgen.networks.layers.embedding import sinusoids
from jaxgen.networks.layers.normalization import GroupNorm, normalized_by_groups
from jaxgen.networks.layers.resampling import depth_to_space, space_to_depth
from jaxgen.networks.text_encoder import TextTransformer
from jaxgen.networks.unet import AttentionBlock, UNet

KEY = jax.random.key(0)
NETWORKS = {
    "unet": UNet(3, 8, (1, 2), 1, (4,), 8, num_classes=5),
    "unet_of_patches": UNet(3, 8, (1, 2), 1, (2,), 8, patch_size=2, num_classes=5),
    "dit": DiT(3, 2, 16, 2, 2, num_classes=5),
}
EVERY = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name != "dit")) for name in NETWORKS]
)
INPUTS = (jax.random.normal(KEY, (2, 8, 8, 3)), jnp.array([-1.0, 0.5]), jnp.array([1, 5]))


def shaken(network):
    """Its variables, none of them 0."""
    variables = jax.jit(lambda: network.init(KEY, *INPUTS, train=False))()
    leaves, tree = jax.tree.flatten(variables)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    return tree.unflatten([x + 0.3 * jax.random.normal(k, x.shape) for k, x in zip(keys, leaves, strict=True)])


@EVERY
def test_outputs_are_0_at_first_and_then_depend_on_every_pixel_the_noise_and_the_class(name):
    network = NETWORKS[name]
    outputs, _ = jax.jit(lambda: network.init_with_output(KEY, *INPUTS, train=False))()
    chex.assert_shape(outputs, (2, 8, 8, 3))
    np.testing.assert_array_equal(outputs, 0.0)
    variables = shaken(network)

    @jax.jit
    def run(x, noise, labels):
        return network.apply(variables, x, noise, labels, train=False)

    before = run(*INPUTS)
    slopes = jax.jit(jax.grad(lambda x: run(x, *INPUTS[1:])[0, 3, 4].sum()))(INPUTS[0])
    assert (np.abs(slopes[0]).max(-1) > 0).all()
    np.testing.assert_array_equal(slopes[1], 0.0)  # nothing comes from another image
    for changed in ((INPUTS[0], INPUTS[1] + 0.1, INPUTS[2]), (*INPUTS[:2], jnp.array([2, 4]))):
        assert (np.abs(run(*changed) - before).max((1, 2, 3)) > 0).all()


@EVERY
def test_dropout_acts_in_training_alone_and_belongs_to_the_example(name):
    network = NETWORKS[name].clone(dropout=0.5)
    variables, keys = shaken(network), jax.random.split(KEY, 2)
    apply = jax.jit(network.apply, static_argnames="train")
    kept = apply(variables, *INPUTS, train=False, dropout_keys=keys)
    dropped = apply(variables, *INPUTS, train=True, dropout_keys=keys)
    assert np.abs(kept - dropped).max() > 1e-3
    second = apply(variables, *(x[1:] for x in INPUTS), train=True, dropout_keys=keys[1:])
    np.testing.assert_allclose(dropped[1:], second, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", NETWORKS)
def test_images_that_cannot_be_halved_or_cut_into_patches_are_refused(name):
    with pytest.raises(UserError, match="multiples of"):
        NETWORKS[name].init(KEY, jnp.zeros((1, 7, 8, 3)), *(x[:1] for x in INPUTS[1:]), train=False)


# ---------------------------------------------------------------- parts


@pytest.mark.parametrize(("channels", "groups"), [(3, 1), (8, 2), (24, 6), (128, 32), (144, 24), (192, 32)])
def test_group_norm_is_that_of_the_paper(channels, groups):
    x = np.random.default_rng(0).normal(2.0, 3.0, (2, 3, 4, channels)).astype(np.float32)
    grouped = x.reshape(2, 12, groups, -1)
    mean, variance = grouped.mean((1, 3), keepdims=True), grouped.var((1, 3), keepdims=True)
    expected = ((grouped - mean) / np.sqrt(variance + 1e-5)).reshape(x.shape)
    outputs, variables = GroupNorm().init_with_output(KEY, x)
    np.testing.assert_allclose(outputs, expected, atol=2e-4)
    chex.assert_shape(variables["params"]["scale"], (channels,))


@pytest.mark.parametrize("groups", [2, 8])
def test_norms_by_groups_have_the_gradients_of_flax(groups):
    rng = np.random.default_rng(0)
    x, weights = (rng.normal(2.0, 3.0, (2, 3, 4, 8)) for _ in range(2))
    scale, bias = rng.normal(size=(2, 8))
    norm = nn.GroupNorm(groups, param_dtype=jnp.float64)

    def of_flax(x, scale, bias):
        return jnp.sum(weights * norm.apply({"params": {"scale": scale, "bias": bias}}, x))

    def of_ours(x, scale, bias):
        return jnp.sum(weights * normalized_by_groups(x, groups, 1e-6, scale, bias))

    with jax.enable_x64(True):
        arguments = tuple(map(jnp.asarray, (x, scale, bias)))
        expected, actual = (jax.jit(jax.value_and_grad(f, (0, 1, 2)))(*arguments) for f in (of_flax, of_ours))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9), actual, expected)


def test_attention_is_a_softmax_of_products():
    rng = np.random.default_rng(0)
    queries, keys, values = (rng.normal(size=(2, 4, n, 3)).astype(np.float32) for n in (5, 7, 7))
    scores = np.einsum("bhqd,bhkd->bhqk", queries, keys) / 3**0.5
    weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    expected = np.einsum("bhqk,bhkd->bqhd", weights, values).reshape(2, 5, 12)
    np.testing.assert_allclose(attend(queries, keys, values), expected, rtol=1e-4, atol=1e-5)


def test_pixels_become_channels_and_pixels_again():
    images = jnp.arange(2 * 4 * 6 * 3).reshape(2, 4, 6, 3)
    patches = space_to_depth(images, (2, 3))
    chex.assert_shape(patches, (2, 2, 2, 18))
    np.testing.assert_array_equal(patches[1, 1, 0].reshape(2, 3, 3), images[1, 2:, :3])
    np.testing.assert_array_equal(depth_to_space(patches, (2, 3)), images)


def test_sinusoids_are_cosines_and_sines_of_rising_frequencies():
    angles = 0.3 * np.array([1.0, 10.0, 100.0])
    expected = np.concatenate([np.cos(angles), np.sin(angles)])
    np.testing.assert_allclose(sinusoids(jnp.array([0.3]), 6)[0], expected, atol=1e-5)


def test_attention_to_a_text_is_a_softmax_over_places_and_words_together():
    block, x = AttentionBlock(4), jax.random.normal(KEY, (2, 2, 2, 8))
    states = jax.random.normal(jax.random.key(1), (2, 3, 6))
    inside = np.array([[True, True, False], [True, False, False]])
    variables = jax.jit(block.init)(KEY, x, states, inside)
    params = variables["params"]
    params["output"]["kernel"] = jnp.eye(8)
    rows = np.asarray(GroupNorm().apply({"params": params["norm"]}, x)).reshape(2, 4, 8)

    def product(name, values):
        return np.asarray(values @ params[name]["kernel"] + params[name]["bias"])

    own = product("queries_keys_values", rows).reshape(2, 4, 3, 2, 4)
    text = product("text_keys_values", states).reshape(2, 3, 2, 2, 4)
    expected = np.zeros((2, 4, 2, 4))
    for b in range(2):
        words = text[b][inside[b]]
        for h in range(2):
            keys, values = (np.concatenate([own[b, :, 1 + i, h], words[:, i, h]]) for i in range(2))
            expected[b, :, h] = scipy.special.softmax(own[b, :, 0, h] @ keys.T / 2.0, axis=1) @ values
    outputs = jax.jit(block.apply)({"params": params}, x, states, inside) - x
    np.testing.assert_allclose(outputs.reshape(2, 4, 8), expected.reshape(2, 4, 8), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_a_unet_reads_captions_but_not_their_padding():
    network = UNet(3, 8, (1, 2), 1, (4,), 8, text=TextTransformer(7, 8, 1, 2))
    captions = jnp.array([[3, 1, 0, 0], [0, 0, 0, 0]])
    inputs = INPUTS[:2]
    variables = jax.jit(lambda: network.init(KEY, *inputs, captions, train=False))()
    leaves, tree = jax.tree.flatten(variables)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    variables = tree.unflatten([x + 0.3 * jax.random.normal(k, x.shape) for k, x in zip(keys, leaves, strict=True)])
    apply = jax.jit(lambda captions: network.apply(variables, *inputs, captions, train=False))
    outputs = apply(captions)
    chex.assert_tree_all_finite(outputs)
    np.testing.assert_allclose(apply(captions[:, :2]), outputs, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(apply(jnp.pad(captions, ((0, 0), (0, 3)))), outputs, rtol=1e-4, atol=1e-4)
    changed = np.abs(apply(captions.at[0, 1].set(5)) - outputs).max((1, 2, 3))
    assert changed[0] > 1e-4
    assert changed[1] == pytest.approx(0.0, abs=1e-4)
