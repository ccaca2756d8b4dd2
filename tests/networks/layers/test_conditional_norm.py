"""Conditional batch norm against PyTorch's batch norm with gains and biases of each example."""

import flax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import REFERENCES

from jaxgen.networks.layers.normalization import BatchNorm, ConditionalBatchNorm

REFERENCE = np.load(REFERENCES / "gan_networks.npz")
KEY = jax.random.key(0, impl="unsafe_rbg")  # compiles much faster than the default


def reference(case):
    """The arrays of one case, its parameters as a tree."""
    arrays = {name.removeprefix(f"{case}/"): REFERENCE[name] for name in REFERENCE.files if name.startswith(f"{case}/")}
    return arrays, flax.traverse_util.unflatten_dict(
        {name.removeprefix("params/"): value for name, value in arrays.items() if name.startswith("params/")}, sep="/"
    )


def initialized(network, *inputs):
    """(outputs, variables), compiled: much faster than Flax's eager `init`."""
    return jax.jit(lambda *x: network.init_with_output(KEY, *x, train=True))(*inputs)


@pytest.mark.parametrize(
    ("case", "condition", "num_classes"), [("norm", "labels", 3), ("vector_norm", "vectors", None)]
)
def test_outputs_and_gradients_are_those_of_pytorch(case, condition, num_classes):
    arrays, params = reference(case)
    norm = ConditionalBatchNorm(num_classes)

    def outputs(inputs):
        return norm.apply({"params": params}, inputs, arrays[condition], train=True, mutable=["batch_stats"])[0]

    values, pull = jax.vjp(jax.jit(outputs), arrays["inputs"])
    np.testing.assert_allclose(values, arrays["outputs"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(pull(arrays["cotangent"])[0], arrays["input_gradient"], rtol=1e-5, atol=1e-5)


def test_at_the_start_every_class_has_plain_batch_norm():
    inputs, labels = jax.random.normal(KEY, (6, 4, 4, 3)), jnp.arange(6)
    outputs, variables = initialized(ConditionalBatchNorm(6), inputs, labels)
    plain, _ = initialized(BatchNorm(use_scale=False, use_bias=False), inputs)
    np.testing.assert_allclose(outputs, plain, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(variables["params"]["gain"]["embedding"], np.ones((6, 3)))
    np.testing.assert_array_equal(variables["params"]["bias"]["embedding"], np.zeros((6, 3)))


def test_outside_training_an_example_does_not_depend_on_the_others():
    inputs, vectors = jax.random.normal(KEY, (5, 3, 3, 4)), jax.random.normal(KEY, (5, 7))
    norm = ConditionalBatchNorm()
    _, variables = initialized(norm, inputs, vectors)
    together = norm.apply(variables, inputs, vectors, train=False)
    alone = norm.apply(variables, inputs[:1], vectors[:1], train=False)
    np.testing.assert_allclose(alone, together[:1], rtol=1e-5, atol=1e-6)


def test_spectral_norm_bounds_what_a_vector_does():
    inputs, vectors = jax.random.normal(KEY, (5, 3, 3, 4)), jax.random.normal(KEY, (5, 7))
    norm = ConditionalBatchNorm(spectral_norm=True)
    _, variables = initialized(norm, inputs, vectors)
    large = {**variables, "params": jax.tree.map(lambda x: 100.0 * x, variables["params"])}
    np.testing.assert_allclose(
        norm.apply(large, inputs, vectors, train=False), norm.apply(variables, inputs, vectors, train=False), rtol=1e-4
    )
