"""The convolutions of VQ-VAE: shapes and sizes of the paper, and a residual block against plain Flax."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.networks.vq_conv import ResidualBlock, VQDecoder, VQEncoder

KEY = jax.random.key(0)


def shapes(network, *shape):
    """Output and number of parameters, without computing anything."""
    outputs, variables = jax.eval_shape(lambda: network.init_with_output(KEY, jnp.zeros(shape), train=False))
    return outputs.shape, sum(x.size for x in jax.tree.leaves(variables))


def test_the_papers_sizes_give_grids_of_8x8_from_32x32():
    block = 9 * 256 * 256 + 256 + 256 * 256 + 256
    encoder = (16 * 3 * 256 + 256) + (16 * 256 * 256 + 256) + 2 * block + (256 * 64 + 64)
    decoder = (9 * 64 * 256 + 256) + 2 * block + (16 * 256 * 256 + 256) + (16 * 256 * 3 + 3)
    assert shapes(VQEncoder(64), 2, 32, 32, 3) == ((2, 8, 8, 64), encoder)
    assert shapes(VQDecoder(3), 2, 8, 8, 64) == ((2, 32, 32, 3), decoder)


@pytest.mark.parametrize(("halvings", "grid"), [(1, 14), (2, 7)])
def test_grids_shrink_by_the_number_of_halvings_and_decoders_undo_it(halvings, grid):
    sizes = {"width": 4, "residual_width": 2, "residual_blocks": 1, "halvings": halvings}
    assert shapes(VQEncoder(5, **sizes), 2, 28, 28, 1)[0] == (2, grid, grid, 5)
    assert shapes(VQDecoder(1, **sizes), 2, grid, grid, 5)[0] == (2, 28, 28, 1)


def test_a_residual_block_agrees_with_plain_convolutions():
    inputs = jax.random.normal(KEY, (2, 5, 5, 3))
    outputs, variables = jax.jit(ResidualBlock(4).init_with_output)(KEY, inputs)

    def convolved(name, features, size, hidden):
        return nn.Conv(features, (size, size)).apply({"params": variables["params"][name]}, nn.relu(hidden))

    expected = inputs + convolved("Conv_1", 3, 1, convolved("Conv_0", 4, 3, inputs))
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)
