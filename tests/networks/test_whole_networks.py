"""Whole networks and their gradients against PyTorch and diffusers with the same weights (make_whole_networks.py)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import REFERENCES, subtree

from jaxgen.networks.dit import DiT
from jaxgen.networks.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator, num_styles
from jaxgen.networks.super_resolution import SRDiscriminator, SRResNet
from jaxgen.networks.unet import UNet

REFERENCE = np.load(REFERENCES / "whole_networks.npz")
NETWORKS = {
    "stylegan2_generator": StyleGAN2Generator((16, 16, 3), 64, 8, style_size=6, mapping_layers=2, num_classes=3),
    "stylegan2_discriminator": StyleGAN2Discriminator((16, 16, 3), 64, 8, num_classes=3),
    "srresnet": SRResNet(3, 2, 4, 2, batch_norm=True),
    "sr_discriminator": SRDiscriminator(4, 2, 8),
    "unet": UNet(3, 8, (1, 2), 1, (4,), 8, patch_size=2, num_classes=5),
    "dit": DiT(3, 2, 16, 2, 2, num_classes=5),
}


def apply(name, variables, first, *others):
    network = NETWORKS[name]
    if name != "stylegan2_generator":
        return network.apply(variables, first, *others, train=False)
    labels, *noise = others
    style = network.apply(variables, first, labels, method="map")
    styles = jnp.repeat(style[:, None], num_styles(network.image_shape), 1)
    return network.apply(variables, styles, noise, method="synthesize")


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_and_its_gradient_are_those_of_pytorch(name):
    variables = {"params": subtree(REFERENCE, f"{name}/")}
    if statistics := subtree(REFERENCE, f"stats/{name}/"):
        variables["batch_stats"] = statistics
    inputs = [REFERENCE[f"{name}:input_{i}"] for i in range(9) if f"{name}:input_{i}" in REFERENCE.files]
    first, others = jnp.asarray(inputs[0]), inputs[1:]
    given = others[:1] if name == "stylegan2_generator" else others
    expected = jax.eval_shape(lambda: NETWORKS[name].init(jax.random.key(0), first, *given, train=False))
    assert jax.tree.map(jnp.shape, variables) == jax.tree.map(lambda x: x.shape, dict(expected))

    def squares(first):
        outputs = apply(name, variables, first, *others)
        return jnp.sum(jnp.square(outputs)), outputs

    gradient, outputs = jax.jit(jax.grad(squares, has_aux=True))(first)
    for actual, kind in ((outputs, "outputs"), (gradient, "gradient")):
        wanted = REFERENCE[f"{name}:{kind}"]
        np.testing.assert_allclose(actual, wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())
