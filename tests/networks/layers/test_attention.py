"""Self-attention against PyTorch's matrix products and max pooling."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import REFERENCES, subtree

from jaxgen.core.errors import UserError
from jaxgen.networks.layers.attention import SelfAttention

REFERENCE = np.load(REFERENCES / "gan_networks.npz")
KEY = jax.random.key(0, impl="unsafe_rbg")  # compiles much faster than the default


def initialized(network, *inputs):
    """(outputs, variables), compiled: much faster than Flax's eager `init`."""
    return jax.jit(lambda *x: network.init_with_output(KEY, *x, train=True))(*inputs)


def test_outputs_and_gradients_are_those_of_pytorch():
    params = subtree(REFERENCE, "attention/params/")
    attention = SelfAttention(spectral_norm=False)
    outputs, pull = jax.vjp(
        jax.jit(lambda inputs: attention.apply({"params": params}, inputs, train=True)), REFERENCE["attention/inputs"]
    )
    np.testing.assert_allclose(outputs, REFERENCE["attention/outputs"], rtol=1e-5, atol=1e-5)
    (gradient,) = pull(REFERENCE["attention/cotangent"])
    np.testing.assert_allclose(gradient, REFERENCE["attention/input_gradient"], rtol=1e-5, atol=1e-5)


def test_at_the_start_it_passes_its_inputs_and_only_gamma_learns():
    inputs = jax.random.normal(KEY, (2, 4, 4, 8))
    attention = SelfAttention()
    outputs, variables = initialized(attention, inputs)
    np.testing.assert_array_equal(outputs, inputs)

    @jax.jit
    @jax.grad
    def gradients(params):
        outputs = attention.apply({**variables, "params": params}, inputs, train=False)
        return jnp.sum(jnp.sin(outputs))

    at_zero = gradients(variables["params"])
    assert at_zero.pop("gamma") != 0
    assert not any(jnp.any(leaf) for leaf in jax.tree.leaves(at_zero))
    moved = gradients(variables["params"] | {"gamma": jnp.ones(())})
    assert all(jnp.any(leaf) for leaf in jax.tree.leaves(moved))


@pytest.mark.slow
def test_odd_maps_and_other_images_are_no_matter():
    inputs = jax.random.normal(KEY, (3, 7, 7, 8))
    attention = SelfAttention()
    _, variables = initialized(attention, inputs)
    variables["params"]["gamma"] = jnp.ones(())
    together = attention.apply(variables, inputs, train=False)
    assert together.shape == inputs.shape
    np.testing.assert_allclose(attention.apply(variables, inputs[:1], train=False), together[:1], rtol=1e-5, atol=1e-6)


def test_channels_that_cannot_be_split_are_refused():
    with pytest.raises(UserError, match="channels that 8 divides, not 12"):
        SelfAttention().init(KEY, jnp.zeros((1, 4, 4, 12)), train=True)
