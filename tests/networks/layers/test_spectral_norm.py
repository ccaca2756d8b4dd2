"""Spectral normalization against PyTorch's, singular values by SVD, and finite differences."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import REFERENCES

from jaxgen.models.variables import apply_network, init_network
from jaxgen.networks.layers.convolution.conv import Conv
from jaxgen.networks.layers.spectral_norm import COLLECTION, spectrally_normalized
from jaxgen.networks.mlp import MLPDiscriminator
from jaxgen.training.parallel import device_mesh, per_device, split_over_devices

REFERENCE = np.load(REFERENCES / "gan_networks.npz")
KEY = jax.random.key(0, impl="unsafe_rbg")  # compiles much faster than the default


class Normalized(nn.Module):
    """One layer of a kind, spectrally normalized."""

    kind: str
    kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, inputs, *, train):
        layer = {
            "conv": lambda: Conv(6, (3, 3), kernel_init=self.kernel_init),
            "dense": lambda: nn.Dense(6, kernel_init=self.kernel_init),
            "embed": lambda: nn.Embed(7, 6),
        }[self.kind]()
        return spectrally_normalized(layer, train=train)(inputs)


INPUTS = {
    "conv": jax.random.normal(KEY, (2, 5, 5, 4)),
    "dense": jax.random.normal(KEY, (2, 4)),
    "embed": jnp.arange(7),
}


def initialized(network, *inputs):
    """(params, model state), compiled: much faster than Flax's eager `init`."""
    return jax.jit(lambda *x: init_network(network, KEY, *x))(*inputs)


def matrix(params):
    """The weights as (everything else) x outputs."""
    (weights,) = (leaf for leaf in jax.tree.leaves(params) if leaf.ndim > 1)
    return weights.reshape(-1, weights.shape[-1])


def trained(network, params, model_state, inputs, *, calls):
    """The model state after so many training calls."""

    def train(_, model_state):
        return apply_network(network, params, model_state, inputs, train=True)[1]

    return jax.jit(lambda state: jax.lax.fori_loop(0, calls, train, state))(model_state)


def test_one_iteration_and_its_gradients_are_those_of_pytorch():
    network, inputs = Normalized("conv"), REFERENCE["spectral/inputs"]
    params = {"Conv_0": {name: REFERENCE[f"spectral/params/{name}"] for name in ("kernel", "bias")}}
    model_state = {COLLECTION: {"SpectralNorm_0": {"u": REFERENCE["spectral/u"]}}}

    def outputs(params, inputs):
        return apply_network(network, params, model_state, inputs, train=True)

    values, pull, updated = jax.vjp(jax.jit(outputs), params, inputs, has_aux=True)
    param_gradients, input_gradient = pull(REFERENCE["spectral/cotangent"])
    for found, expected in [
        (values, "outputs"),
        (updated[COLLECTION]["SpectralNorm_0"]["u"], "new_u"),
        (input_gradient, "input_gradient"),
        (param_gradients["Conv_0"]["kernel"], "kernel_gradient"),
    ]:
        np.testing.assert_allclose(found, REFERENCE[f"spectral/{expected}"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", INPUTS)
def test_after_many_training_calls_the_largest_singular_value_is_one(kind):
    network, inputs = Normalized(kind), INPUTS[kind]
    params, model_state = initialized(network, inputs)
    model_state = trained(network, params, model_state, inputs, calls=200)
    sigma = np.linalg.svd(matrix(params), compute_uv=False)[0]
    outputs = apply_network(network, params, model_state, inputs, train=False)[0]
    plain = {"conv": Conv(6, (3, 3)), "dense": nn.Dense(6), "embed": nn.Embed(7, 6)}[kind]
    (layer_params,) = params.values()
    np.testing.assert_allclose(outputs, plain.apply({"params": layer_params}, inputs) / sigma, rtol=1e-4, atol=1e-5)


def test_evaluation_normalizes_the_weights_at_hand_and_changes_nothing():
    network, inputs = Normalized("dense"), INPUTS["dense"]
    params, model_state = initialized(network, inputs)
    tripled = jax.tree.map(lambda x: 3.0 * x, params)
    outputs, after = apply_network(network, params, model_state, inputs, train=False)
    of_tripled, _ = apply_network(network, tripled, model_state, inputs, train=False)
    np.testing.assert_allclose(of_tripled, outputs, rtol=1e-5)
    assert after is model_state


def test_gradients_are_those_of_finite_differences_once_the_iteration_has_converged():
    """Where u and v are singular vectors, holding them constant is exact."""
    network, inputs = Normalized("dense"), INPUTS["dense"]
    params, model_state = initialized(network, inputs)
    model_state = trained(network, params, model_state, inputs, calls=100)
    kernel = np.asarray(params["Dense_0"]["kernel"], np.float64)

    @jax.jit
    @jax.grad
    def gradients(params):
        return jnp.sum(jnp.sin(apply_network(network, params, model_state, inputs, train=True)[0]))

    def value(kernel):
        return np.sum(np.sin(np.asarray(inputs, np.float64) @ kernel / np.linalg.svd(kernel, compute_uv=False)[0]))

    numeric = np.zeros_like(kernel)
    for place in np.ndindex(kernel.shape):
        step = np.zeros_like(kernel)
        step[place] = 1e-5
        numeric[place] = (value(kernel + step) - value(kernel - step)) / 2e-5
    np.testing.assert_allclose(gradients(params)["Dense_0"]["kernel"], numeric, rtol=1e-3, atol=1e-4)


def test_parameters_are_named_and_start_as_those_of_the_plain_layer():
    network, inputs = Normalized("conv", nn.initializers.constant(0.5)), INPUTS["conv"]
    params, model_state = initialized(network, inputs)
    assert jax.tree.map(jnp.shape, params) == {"Conv_0": {"kernel": (3, 3, 4, 6), "bias": (6,)}}
    np.testing.assert_array_equal(params["Conv_0"]["kernel"], np.full((3, 3, 4, 6), 0.5))
    assert jax.tree.map(jnp.shape, model_state) == {COLLECTION: {"SpectralNorm_0": {"u": (6,)}}}


def test_every_device_gets_the_same_vector():
    network, inputs = Normalized("conv"), jax.random.normal(KEY, (4, 5, 5, 4))
    params, model_state = initialized(network, inputs)
    mesh = device_mesh(2)

    def step(params, model_state, inputs):
        return apply_network(network, params, model_state, inputs, train=True)

    mapped = per_device(step, mesh, (False, False, True), replicated_output=False)
    outputs, updated = mapped(params, model_state, split_over_devices(mesh, inputs.reshape(2, 2, 5, 5, 4)))
    expected, expected_state = jax.jit(step)(params, model_state, inputs)
    np.testing.assert_allclose(outputs.reshape(expected.shape), expected, rtol=1e-5, atol=1e-6)
    for found, one in zip(jax.tree.leaves(updated), jax.tree.leaves(expected_state), strict=True):
        np.testing.assert_array_equal(found[0], found[1])
        np.testing.assert_allclose(found[0], one, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("head_outputs", [None, 3])
def test_every_layer_of_a_fully_connected_discriminator_is_divided_by_its_largest_singular_value(head_outputs):
    images = jax.random.normal(jax.random.key(0), (5, 4, 4, 1))
    plain, normed = (MLPDiscriminator((7, 6), head_outputs, spectral_norm=enabled) for enabled in (False, True))
    variables = normed.init(jax.random.key(1), images, train=False)
    step = jax.jit(lambda variables: normed.apply(variables, images, train=True, mutable=[COLLECTION])[1])
    for _ in range(200):  # until u is the singular vector
        variables = {**variables, **step(variables)}
    divided = jax.tree.map(
        lambda leaf: leaf / np.linalg.svd(leaf, compute_uv=False)[0] if leaf.ndim > 1 else leaf, variables["params"]
    )
    expected = plain.apply({"params": divided}, images, train=False)
    chex.assert_trees_all_close(normed.apply(variables, images, train=False), expected, rtol=1e-5, atol=1e-6)
