"""Normalizing flows: log-determinants against the Jacobian, invertibility."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from jaxgen.networks.flows import InverseAutoregressiveFlow, PlanarFlow, invertible_direction
from jaxgen.networks.made import MADE

SIZE, CONTEXT = 4, 3
FLOWS = {
    "planar": PlanarFlow(3),
    "iaf": InverseAutoregressiveFlow(2, (8, 7)),
    "iaf_of_one_layer": InverseAutoregressiveFlow(1, (5,)),
}
every_flow = pytest.mark.parametrize("flow", FLOWS.values(), ids=FLOWS)


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def initialized(network, latents, context):
    """Its variables, larger than at the start; no bias is 0."""
    variables = jax.jit(network.init)(jax.random.key(0), latents, context)
    return jax.tree.map(lambda x: 1.2 * x + 0.1, variables)


@every_flow
def test_the_log_determinant_is_that_of_the_jacobian(flow):
    latents, context = normal(0, 5, SIZE), normal(1, 5, CONTEXT)
    variables = initialized(flow, latents, context)
    _, log_det = flow.apply(variables, latents, context)

    def one(latents, context):
        return flow.apply(variables, latents[None], context[None])[0][0]

    jacobians = jax.jit(jax.vmap(jax.jacobian(one)))(latents, context)
    signs, expected = jnp.linalg.slogdet(jacobians)
    np.testing.assert_allclose(log_det, expected, rtol=1e-4, atol=2e-5)
    assert float(jnp.abs(log_det).max()) > 0.3
    assert np.all(signs == 1)  # turning the order of 4 latents around is 2 swaps


@every_flow
def test_latents_depend_on_the_context(flow):
    latents = normal(0, 5, SIZE)
    variables = initialized(flow, latents, normal(1, 5, CONTEXT))
    first, second = (flow.apply(variables, latents, normal(seed, 5, CONTEXT))[0] for seed in (1, 2))
    assert np.all(jnp.abs(first - second).max(0) > 1e-3)


def test_an_inverse_autoregressive_layer_is_undone_one_latent_after_the_other():
    flow = FLOWS["iaf_of_one_layer"]
    latents, context = normal(0, 5, SIZE), normal(1, 5, CONTEXT)
    variables = initialized(flow, latents, context)
    moved, _ = flow.apply(variables, latents, context)
    made = {"params": variables["params"]["MADE_0"]}
    found = jnp.zeros_like(latents)
    for i in range(SIZE):
        outputs = MADE(flow.widths).apply(made, found, context)
        sigma = jax.nn.sigmoid(outputs[:, 1] + 1.0)
        found = found.at[:, i].set(((moved - (1 - sigma) * outputs[:, 0]) / sigma)[:, i])
    np.testing.assert_allclose(found, latents, rtol=1e-4, atol=1e-4)


def test_planar_layers_are_invertible_whatever_the_network_says():
    directions, normals = 4 * normal(0, 500, SIZE), normal(1, 500, SIZE)
    bounded = invertible_direction(directions, normals)
    products = jnp.sum(bounded * normals, -1)
    assert float(products.min()) > -1.0 - 1e-5
    assert float(jnp.sum(directions * normals, -1).min()) < -5
    np.testing.assert_allclose(
        products, jnp.logaddexp(0.0, jnp.sum(directions * normals, -1)) - 1, rtol=1e-4, atol=1e-4
    )


def test_a_planar_layer_is_undone_along_its_normal():
    flow, latents, context = PlanarFlow(1), normal(0, 1, SIZE), normal(1, 1, CONTEXT)
    variables = initialized(flow, latents, context)
    moved, _ = flow.apply(variables, latents, context)
    layer = np.asarray(context @ variables["params"]["Dense_0"]["kernel"] + variables["params"]["Dense_0"]["bias"])[0]
    direction, w, b = (np.asarray(x, np.float64) for x in np.split(layer, [SIZE, 2 * SIZE]))
    product = direction @ w
    u = direction + (np.logaddexp(0, product) - 1 - product) * w / (w @ w)
    target = float(np.asarray(moved)[0] @ w)
    along = scipy.optimize.brentq(lambda a: a + (u @ w) * np.tanh(a + b[0]) - target, -100, 100)
    np.testing.assert_allclose(np.asarray(moved)[0] - u * np.tanh(along + b[0]), latents[0], rtol=1e-4, atol=1e-4)
