"""Generators, discriminators, encoders and the classifier: shapes, parameters, batch statistics."""

import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from jaxgen.core.errors import UserError
from jaxgen.core.reductions import AXIS
from jaxgen.networks.classifier import ConvClassifier
from jaxgen.networks.dcgan import DCGANDiscriminator, DCGANEncoder, DCGANGenerator
from jaxgen.networks.layers.normalization import BatchNorm
from jaxgen.networks.mlp import MLPDiscriminator, MLPEncoder, MLPGenerator

KEY = jax.random.key(0)


def outputs_and_parameters(module, *shape):
    """The outputs' shape and the parameters', by tracing only."""
    outputs, variables = jax.eval_shape(lambda x: module.init_with_output(KEY, x, train=True), jnp.zeros(shape))
    return outputs.shape, {"/".join(p.key for p in path): leaf.shape for path, leaf in leaves(variables["params"])}


def initialized(module, inputs, *, train):
    """(outputs, variables), compiled: much faster than Flax's eager `init`."""
    return jax.jit(lambda x: module.init_with_output(KEY, x, train=train))(inputs)


def leaves(tree):
    return jax.tree_util.tree_flatten_with_path(tree)[0]


def count(parameters):
    return sum(int(np.prod(shape)) for shape in parameters.values())


def kernels(parameters, layer):
    return [shape for name, shape in sorted(parameters.items()) if name.startswith(layer) and name.endswith("kernel")]


def test_dcgan_for_28x28_has_the_benchmark_widths():
    shape, parameters = outputs_and_parameters(DCGANGenerator(), 3, 100)
    assert shape == (3, 28, 28, 1)
    assert kernels(parameters, "ConvTranspose") == [(5, 5, 256, 128), (5, 5, 128, 64), (5, 5, 64, 1)]
    norms = 2 * (256 + 128 + 64)
    assert count(parameters) == 100 * 7 * 7 * 256 + 25 * (256 * 128 + 128 * 64 + 64) + 1 + norms
    shape, parameters = outputs_and_parameters(DCGANDiscriminator(), 3, 28, 28, 1)
    assert shape == (3,)
    assert count(parameters) == 25 * (64 + 64 * 128) + 64 + 128 + 7 * 7 * 128 + 1


def test_dcgan_for_64x64_has_the_widths_of_the_paper():
    generator = DCGANGenerator(image_shape=(64, 64, 3), base_width=128)
    shape, parameters = outputs_and_parameters(generator, 2, 100)
    assert shape == (2, 64, 64, 3)
    assert parameters["Dense_0/kernel"] == (100, 4 * 4 * 1024)
    assert kernels(parameters, "ConvTranspose") == [
        (5, 5, a, b) for a, b in [(1024, 512), (512, 256), (256, 128), (128, 3)]
    ]
    discriminator = DCGANDiscriminator(image_shape=(64, 64, 3), base_width=128)
    shape, parameters = outputs_and_parameters(discriminator, 2, 64, 64, 3)
    assert shape == (2,)
    assert kernels(parameters, "Conv") == [(5, 5, a, b) for a, b in [(3, 128), (128, 256), (256, 512), (512, 1024)]]
    assert sum("BatchNorm" in name for name in parameters) == 2 * 3


@pytest.mark.parametrize("size", [8, 14, 28, 32, 56, 128])
def test_dcgan_makes_and_reads_every_supported_size(size):
    image_shape = (size, size, 3)
    assert outputs_and_parameters(DCGANGenerator(image_shape, base_width=2), 2, 5)[0] == (2, *image_shape)
    assert outputs_and_parameters(DCGANDiscriminator(image_shape, base_width=2), 2, *image_shape)[0] == (2,)
    assert outputs_and_parameters(DCGANEncoder(6, image_shape, base_width=2), 2, *image_shape)[0] == (2, 6)


@pytest.mark.parametrize("image_shape", [(30, 30, 1), (28, 32, 1), (7, 7, 1), (4, 4, 1)])
def test_unsupported_size_names_the_supported_ones(image_shape):
    with pytest.raises(UserError, match=r"4 \* 2\^k .* or 7 \* 2\^k"):
        DCGANGenerator(image_shape).init(KEY, jnp.zeros((1, 4)), train=True)


def test_wrong_number_of_widths_is_reported():
    with pytest.raises(UserError, match="takes 3 widths, not 2"):
        DCGANGenerator(widths=(8, 4)).init(KEY, jnp.zeros((1, 4)), train=True)


def test_discriminator_without_batch_norm_judges_each_image_alone():
    images = jax.random.normal(KEY, (4, 28, 28, 1))
    discriminator = DCGANDiscriminator(base_width=4)
    together, variables = initialized(discriminator, images, train=True)
    assert "batch_stats" not in variables
    np.testing.assert_allclose(
        discriminator.apply(variables, images[:1], train=True), together[:1], rtol=1e-5, atol=1e-6
    )


def test_generated_images_lie_between_minus_one_and_one():
    for generator in (DCGANGenerator(base_width=4), MLPGenerator(widths=(8, 8))):
        latents = 10 * jax.random.normal(KEY, (4, 6))
        images, _ = initialized(generator, latents, train=True)
        chex.assert_shape(images, (4, 28, 28, 1))
        assert float(jnp.abs(images).max()) <= 1


def test_mlp_networks_have_the_stated_parameters():
    shape, parameters = outputs_and_parameters(MLPGenerator(), 2, 100)
    assert shape == (2, 28, 28, 1)
    widths = [100, 128, 256, 512, 1024, 784]
    assert count(parameters) == sum((a + 1) * b for a, b in itertools.pairwise(widths))
    assert outputs_and_parameters(MLPDiscriminator(), 2, 28, 28, 1)[0] == (2,)
    assert outputs_and_parameters(MLPEncoder(7, batch_norm=True), 2, 28, 28, 1)[0] == (2, 7)


def test_classifier_gives_logits_and_the_features_before_them():
    images = jax.random.normal(KEY, (4, 28, 28, 1))
    classifier = ConvClassifier(widths=(4, 8), num_features=16)
    logits, variables = initialized(classifier, images, train=False)
    features = classifier.apply(variables, images, method="features")
    chex.assert_shape((logits, features), [(4, 10), (4, 16)])
    head = variables["params"]["head"]
    np.testing.assert_allclose(features @ head["kernel"] + head["bias"], logits, rtol=1e-5, atol=1e-6)


def test_batch_norm_uses_the_batch_while_training_and_running_averages_otherwise():
    inputs = 3 + 2 * jax.random.normal(KEY, (64, 5, 3))
    norm = BatchNorm()
    variables = norm.init(KEY, inputs, train=True)
    assert set(variables["params"]) == {"scale", "bias"}
    outputs, updated = norm.apply(variables, inputs, train=True, mutable=["batch_stats"])
    np.testing.assert_allclose(outputs.mean((0, 1)), 0, atol=1e-5)
    np.testing.assert_allclose(outputs.std((0, 1)), 1, atol=1e-4)
    np.testing.assert_allclose(updated["batch_stats"]["mean"], 0.1 * inputs.mean((0, 1)), rtol=1e-5)
    np.testing.assert_allclose(norm.apply(variables, inputs, train=False), inputs / np.sqrt(1 + 1e-5), rtol=1e-5)


def test_batch_norm_binds_the_axis_of_devices_where_there_is_one():
    inputs = jax.random.normal(KEY, (8, 3))
    norm = BatchNorm()
    variables = norm.init(KEY, inputs, train=True)

    def step(inputs):
        return norm.apply(variables, inputs, train=True, mutable=["batch_stats"])[0]

    mesh = Mesh(np.array(jax.devices()[:1]), (AXIS,))
    mapped = jax.shard_map(step, mesh=mesh, in_specs=P(AXIS), out_specs=P(AXIS))
    assert "psum" in str(jax.make_jaxpr(mapped)(inputs))
    assert "psum" not in str(jax.make_jaxpr(step)(inputs))
    np.testing.assert_allclose(jax.jit(mapped)(inputs), step(inputs), rtol=1e-6, atol=1e-6)
