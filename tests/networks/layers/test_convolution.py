"""The convolutions are Flax's, in whichever form they are computed."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxgen.networks.layers.convolution.conv import Conv, ConvTranspose
from jaxgen.networks.layers.convolution.dispatch import strided_convolution, transposed_convolution
from jaxgen.networks.layers.convolution.lax_vjp import DIMENSION_NUMBERS


def plain_convolution(inputs, kernel, strides, padding):
    return lax.conv_general_dilated(inputs, kernel, strides, padding, dimension_numbers=DIMENSION_NUMBERS)


FORMS = {"conv": (strided_convolution, plain_convolution), "transpose": (transposed_convolution, lax.conv_transpose)}
# (height, width), kernel, strides, padding, channels, features
CASES = [
    ((7, 7), (5, 5), (1, 1), "SAME", 64, 32),  # these two by the transform
    ((7, 7), (5, 5), (2, 2), "SAME", 64, 32),
    ((9, 8), (3, 3), (1, 1), "SAME", 5, 6),  # these four by XLA's, which is not for fewer channels or features
    ((9, 8), (5, 5), (2, 2), "SAME", 6, 5),
    ((6, 6), (6, 6), (2, 2), "SAME", 5, 5),  # more outputs of the form with stride 1 than inputs
    ((9, 8), (4, 5), (3, 4), "SAME", 5, 6),
    ((7, 7), (5, 5), (1, 1), "SAME", 3, 4),
    ((7, 7), (5, 5), (2, 2), "SAME", 3, 2),
    ((14, 14), (5, 5), (2, 2), "SAME", 2, 3),
    ((14, 14), (5, 5), (2, 2), "SAME", 2, 1),
    ((28, 28), (5, 5), (2, 2), "SAME", 1, 2),
    ((28, 28), (3, 3), (1, 1), "SAME", 1, 2),
    ((14, 14), (3, 3), (1, 1), "SAME", 2, 2),
    ((4, 4), (5, 5), (2, 2), "SAME", 3, 2),
    ((8, 8), (4, 4), (2, 2), "SAME", 2, 2),  # taps that would begin within a cell
    ((9, 6), (4, 4), (2, 2), "SAME", 12, 2),  # fewer products of taps than numbers in patches
    ((9, 6), (4, 6), (2, 2), "SAME", 3, 2),
    ((6, 6), (6, 6), (2, 2), "SAME", 3, 2),
    ((9, 8), (4, 5), (3, 4), "SAME", 2, 3),
    ((16, 16), (5, 5), (2, 2), "SAME", 2, 2),
    ((32, 32), (5, 5), (2, 2), "SAME", 3, 2),
    ((5, 9), (3, 4), (3, 2), "SAME", 2, 3),
    ((6, 7), (1, 1), (2, 3), "SAME", 2, 3),
    ((7, 8), (2, 2), (3, 3), "SAME", 2, 3),
    ((4, 3), (3, 3), (1, 1), "SAME", 4, 5),  # by patches: a small map,
    ((8, 7), (3, 3), (2, 2), "SAME", 4, 2),  # few cells and, for the kernel's gradient, few features
    ((9, 8), (3, 3), (2, 2), "VALID", 2, 3),  # with a last column that no patch meets
    ((9, 7), (4, 3), (2, 1), "VALID", 2, 3),
    ((7, 7), (5, 5), (1, 1), "VALID", 2, 3),
    ((9, 7), (4, 3), (2, 2), ((1, 2), (3, 0)), 2, 3),
]


def outputs_and_gradients(function, *arguments):
    """The output, and the gradients of a weighted sum of it with respect to all arguments."""

    @jax.jit
    def run(*arguments):
        outputs, pull = jax.vjp(function, *arguments)
        return outputs, pull(jnp.cos(jnp.arange(outputs.size, dtype=outputs.dtype)).reshape(outputs.shape))

    return run(*arguments)


def values_and_gradients(form, case, dtype):
    """The output, and the gradients of a weighted sum of it with respect to inputs and kernel."""
    (height, width), kernel_size, strides, padding, channels, features = case
    generator = np.random.default_rng(0)
    inputs = jnp.asarray(generator.normal(size=(2, height, width, channels)), dtype)
    kernel = jnp.asarray(generator.normal(size=(*kernel_size, channels, features)), dtype)

    return outputs_and_gradients(lambda x, w: form(x, w, strides, padding), inputs, kernel)


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("name", FORMS)
def test_fast_form_has_the_values_and_gradients_of_lax(name, case):
    fast, plain = FORMS[name]
    with jax.enable_x64(True):
        got, expected = (values_and_gradients(form, case, jnp.float64) for form in (fast, plain))
        chex.assert_trees_all_close(got, expected, atol=1e-11, rtol=1e-11)
        scale = jax.tree.map(lambda x: float(jnp.abs(x).max()), expected)
    single = values_and_gradients(fast, case, jnp.float32)
    jax.tree.map(lambda a, b, s: np.testing.assert_allclose(a, b, atol=3e-6 * s), single, expected, scale)


@pytest.mark.parametrize(("channels", "transformed"), [(64, True), (5, False)])
def test_small_maps_with_many_channels_take_the_transform(channels, transformed):
    inputs, kernel = jnp.zeros((2, 7, 7, channels)), jnp.zeros((5, 5, channels, 32))
    jaxpr = jax.make_jaxpr(lambda x, w: strided_convolution(x, w, (1, 1), "SAME"))(inputs, kernel)
    assert ("conv_general_dilated" not in str(jaxpr)) == transformed


def test_second_derivative_of_the_fast_form_is_that_of_lax():
    """A gradient penalty differentiates the input gradient with respect to the kernel."""
    generator = np.random.default_rng(1)
    inputs, kernel = generator.normal(size=(2, 14, 14, 3)), generator.normal(size=(5, 5, 3, 4))

    def penalty_gradient(form):
        def score(x, w):
            return jnp.sum(jnp.tanh(form(x, w, (2, 2), "SAME")))

        return jax.jit(jax.grad(lambda w: jnp.sum(jax.grad(score)(inputs, w) ** 2)))(kernel)

    with jax.enable_x64(True):
        chex.assert_trees_all_close(*(penalty_gradient(form) for form in FORMS["conv"]), rtol=1e-10)


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize(("module", "flax_module"), [(Conv, nn.Conv), (ConvTranspose, nn.ConvTranspose)])
def test_module_is_a_drop_in_for_flax(module, flax_module, fast):
    inputs = jax.random.normal(jax.random.key(0), (2, 7, 7, 3))
    ours = module(4, (5, 5), 2, fast=fast, bias_init=nn.initializers.normal())
    theirs = flax_module(4, (5, 5), (2, 2), bias_init=nn.initializers.normal())
    variables = ours.init(jax.random.key(1), inputs)
    chex.assert_trees_all_equal(variables, theirs.init(jax.random.key(1), inputs))
    np.testing.assert_allclose(ours.apply(variables, inputs), theirs.apply(variables, inputs), atol=2e-6)
    assert "bias" not in module(4, (5, 5), use_bias=False).init(jax.random.key(1), inputs)["params"]


@pytest.mark.parametrize("size", [(8, 8), (5, 6)])
@pytest.mark.parametrize("kernel_size", [(3, 3), (1, 5)])
@pytest.mark.parametrize("resample", ["up", "down"])
def test_a_change_of_size_in_the_convolution_is_that_beside_it(resample, kernel_size, size):
    generator = np.random.default_rng(2)
    with jax.enable_x64(True):
        inputs = jnp.asarray(generator.normal(size=(2, *size, 3)))
        shapes = {"kernel": (*kernel_size, 3, 4), "bias": (4,)}
        params = {name: jnp.asarray(generator.normal(size=shape)) for name, shape in shapes.items()}

        def beside(params, inputs):
            if resample == "up":
                return nn.Conv(4, kernel_size).apply({"params": params}, inputs.repeat(2, 1).repeat(2, 2))
            return nn.avg_pool(nn.Conv(4, kernel_size).apply({"params": params}, inputs), (2, 2), (2, 2))

        expected = outputs_and_gradients(beside, params, inputs)
        for fast in (True, False):
            conv = Conv(4, kernel_size, resample=resample, fast=fast)
            actual = outputs_and_gradients(lambda p, x, conv=conv: conv.apply({"params": p}, x), params, inputs)
            chex.assert_trees_all_close(actual, expected, rtol=1e-10, atol=1e-11)


def test_taps_that_begin_within_a_cell_multiply_no_zeros():
    inputs, kernel = jnp.zeros((1, 32, 32, 3)), jnp.zeros((4, 4, 3, 5))
    products = {strided_convolution: "[256,48]", transposed_convolution: "[1089,12]"}  # positions, numbers in a patch
    for form, shape in products.items():
        jaxpr = str(jax.make_jaxpr(lambda x, w, form=form: form(x, w, (2, 2), "SAME"))(inputs, kernel))
        assert shape in jaxpr, form


@pytest.mark.parametrize(("features", "shape"), [(3, "[4,4,1,16,16,3]"), (32, "[289,128]")])
def test_transposed_convolutions_keep_what_is_smaller_products_or_patches(features, shape):
    inputs, kernel = jnp.zeros((1, 16, 16, 32)), jnp.zeros((4, 4, 32, features))
    jaxpr = str(jax.make_jaxpr(lambda x, w: transposed_convolution(x, w, (2, 2), "SAME"))(inputs, kernel))
    assert shape in jaxpr


def test_taps_that_begin_within_a_cell_multiply_no_zeros_in_the_space_to_depth_form():
    inputs, kernel = jnp.zeros((1, 32, 32, 3)), jnp.zeros((6, 6, 3, 5))
    assert "[3,3,12,5]" in str(jax.make_jaxpr(lambda x, w: strided_convolution(x, w, (2, 2), "SAME"))(inputs, kernel))
