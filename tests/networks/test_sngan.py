"""SNGAN's blocks against PyTorch, its plans against the papers' tables, and tiny ones that learn."""

import chex
import flax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import REFERENCES, subtree

from jaxgen.core.errors import UserError
from jaxgen.models.variables import apply_network, init_network
from jaxgen.networks.layers.normalization import ConditionalBatchNorm
from jaxgen.networks.layers.resampling import average_pool, max_pool, upsample
from jaxgen.networks.layers.residual import DownBlock, UpBlock
from jaxgen.networks.layers.spectral_norm import COLLECTION
from jaxgen.networks.sngan import SNGANDiscriminator, SNGANGenerator

REFERENCE = np.load(REFERENCES / "gan_networks.npz")
KEY = jax.random.key(0, impl="unsafe_rbg")  # compiles much faster than the default
LABELS = jnp.arange(4) % 3


def outputs_and_shapes(network, *inputs):
    """The outputs' shapes and the parameters', by tracing only."""
    outputs, variables = jax.eval_shape(lambda *x: network.init_with_output(KEY, *x, train=True), *inputs)
    parameters = flax.traverse_util.flatten_dict(variables["params"], sep="/")
    return jax.tree.map(jnp.shape, outputs), {name: leaf.shape for name, leaf in parameters.items()}


def initialized(network, *inputs):
    """(params, model state), compiled: much faster than Flax's eager `init`."""
    return jax.jit(lambda *x: init_network(network, KEY, *x))(*inputs)


def count(shapes):
    return sum(int(np.prod(shape)) for shape in shapes.values())


def features(shapes, block):
    """Of the second convolution in each block of a kind, in the order of the blocks."""
    names = [name for name in shapes if name.startswith(block) and name.endswith("Conv_1/kernel")]
    return [shapes[name][-1] for name in sorted(names, key=lambda name: int(name.split("/")[0].split("_")[1]))]


def assert_agrees_with_pytorch(case, network, *condition, model_state):
    params = subtree(REFERENCE, f"{case}/params/")

    def run(inputs):
        return apply_network(network, params, model_state, inputs, *condition, train=True)[0]

    outputs, pull = jax.vjp(jax.jit(run), REFERENCE[f"{case}/inputs"])
    np.testing.assert_allclose(outputs, REFERENCE[f"{case}/outputs"], rtol=1e-5, atol=1e-5)
    (gradient,) = pull(REFERENCE[f"{case}/cotangent"])
    np.testing.assert_allclose(gradient, REFERENCE[f"{case}/input_gradient"], rtol=1e-5, atol=1e-5)


def test_up_block_is_that_of_pytorch():
    block = UpBlock(8, lambda: ConditionalBatchNorm(3))
    labels = REFERENCE["up/labels"]
    norms = {
        f"ConditionalBatchNorm_{i}": {"BatchNorm_0": {"mean": jnp.zeros(c), "var": jnp.ones(c)}}
        for i, c in ((0, 6), (1, 8))
    }
    assert_agrees_with_pytorch("up", block, labels, model_state={"batch_stats": norms})


@pytest.mark.parametrize(("case", "first"), [("down", False), ("first_down", True)])
def test_spectrally_normalized_down_block_is_that_of_pytorch(case, first):
    block = DownBlock(8, first=first)
    model_state = {COLLECTION: {f"SpectralNorm_{i}": {"u": REFERENCE[f"{case}/u{i}/u"]} for i in range(3)}}
    assert_agrees_with_pytorch(case, block, model_state=model_state)


def test_maps_are_halved_and_doubled_as_numpy_does():
    maps = np.random.default_rng(0).normal(size=(2, 5, 4, 3)).astype(np.float32)
    windows = np.stack([maps[:, i:4:2, j:4:2] for i in (0, 1) for j in (0, 1)])
    np.testing.assert_allclose(average_pool(maps), windows.mean(0), rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(max_pool(maps), windows.max(0))
    np.testing.assert_array_equal(upsample(maps), maps.repeat(2, 1).repeat(2, 2))


def test_the_gradient_of_a_maximum_goes_to_one_pixel_of_each_window_whatever_comes_before():
    maps = np.random.default_rng(1).normal(size=(4, 8, 8, 3)).astype(np.float32)
    kernel = np.random.default_rng(2).normal(size=(3, 3)).astype(np.float32)
    maps[0] = 1.0  # all alike

    def loss(inputs, slope):  # what is pooled may be computed twice, and then rounded otherwise
        return jnp.sum(slope * max_pool(jax.nn.relu(inputs @ kernel) * 0.1 + inputs))

    def pixels(inputs):
        return jax.grad(lambda x: jnp.sum(max_pool(x)))(inputs)

    gradient = jax.jit(jax.grad(loss))(maps, np.ones((4, 4, 4, 3), np.float32))
    chex.assert_tree_all_finite(gradient)
    chosen = np.asarray(pixels(maps)).reshape(4, 4, 2, 4, 2, 3)
    np.testing.assert_array_equal(chosen.sum((2, 4)), 1.0)
    np.testing.assert_array_equal(np.where(chosen > 0, maps.reshape(4, 4, 2, 4, 2, 3), -9).max((2, 4)), max_pool(maps))


def test_plan_for_cifar10_has_the_parameters_of_table_4():
    shape, shapes = outputs_and_shapes(SNGANGenerator(), jnp.zeros((2, 128)))
    assert shape == (2, 32, 32, 3)
    block = 9 * 256 * 256 * 2 + 256 * 256 + 2 * 2 * 256  # no biases before batch norm
    assert count(shapes) == 129 * 4 * 4 * 256 + 3 * block + 2 * 256 + (9 * 256 + 1) * 3
    shape, shapes = outputs_and_shapes(SNGANDiscriminator(), jnp.zeros((2, 32, 32, 3)))
    assert shape == (2,)
    square = (9 * 128 + 1) * 128
    first, second = (9 * 3 + 1) * 128 + square + 4 * 128, 2 * square + 129 * 128
    assert count(shapes) == first + second + 2 * 2 * square + 129
    halved = SNGANDiscriminator(width=64)
    assert features(outputs_and_shapes(halved, jnp.zeros((2, 32, 32, 3)))[1], "DownBlock") == [64] * 4


@pytest.mark.parametrize(
    ("size", "stem", "up", "down"),
    [
        (28, 7 * 7 * 256, [256] * 2, [128] * 4),
        (48, 6 * 6 * 512, [256, 128, 64], [64, 128, 256, 512, 1024]),
        (64, 4 * 4 * 1024, [512, 256, 128, 64], [64, 128, 256, 512, 1024]),
        (128, 4 * 4 * 1024, [1024, 512, 256, 128, 64], [64, 128, 256, 512, 1024, 1024]),
    ],
)
def test_plans_for_other_sizes_are_those_of_the_tables(size, stem, up, down):
    image_shape = (size, size, 3)
    shape, shapes = outputs_and_shapes(SNGANGenerator(image_shape), jnp.zeros((2, 128)))
    assert shape == (2, *image_shape)
    assert shapes["Dense_0/kernel"] == (128, stem)
    assert features(shapes, "UpBlock") == up
    shape, shapes = outputs_and_shapes(SNGANDiscriminator(image_shape), jnp.zeros((2, *image_shape)))
    assert shape == (2,)
    assert features(shapes, "DownBlock") == down


def test_projection_adds_the_inner_product_with_the_label():
    """Swapping two classes' embeddings and the labels leaves the logits; a zero embedding leaves psi(h)."""
    discriminator = SNGANDiscriminator((8, 8, 1), 8, num_classes=3, spectral_norm=False)
    images = jax.random.normal(KEY, (4, 8, 8, 1))
    params, model_state = initialized(discriminator, images, LABELS)
    logits = apply_network(discriminator, params, model_state, images, LABELS, train=False)[0]
    head = params["ProjectionHead_0"]
    embedding = head["Embed_0"]["embedding"]
    psi = {**params, "ProjectionHead_0": {**head, "Embed_0": {"embedding": jnp.zeros_like(embedding)}}}
    without = apply_network(discriminator, psi, model_state, images, LABELS, train=False)[0]
    plain = SNGANDiscriminator((8, 8, 1), 8, head_outputs=8, spectral_norm=False)
    del psi["ProjectionHead_0"]["Embed_0"]
    identity = {"kernel": jnp.eye(8), "bias": jnp.zeros(8)}  # reads the features through the other head
    plain_logits, features = apply_network(
        plain, psi | {"ProjectionHead_0": psi["ProjectionHead_0"] | {"Dense_1": identity}}, {}, images, train=False
    )[0]
    np.testing.assert_allclose(without, plain_logits, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(logits - without, jnp.sum(embedding[LABELS] * features, -1), rtol=1e-4, atol=1e-4)


def assert_every_parameter_learns(network, *inputs, silent=()):
    """Nonzero gradients everywhere, but for names that contain one of `silent`, which have none."""
    params, model_state = initialized(network, *inputs)

    def loss(params):
        outputs, _ = apply_network(network, params, model_state, *inputs, train=True)
        return sum(jnp.sum(jnp.sin(leaf)) for leaf in jax.tree.leaves(outputs))

    gradients = flax.traverse_util.flatten_dict(jax.jit(jax.grad(loss))(params), sep="/")
    for name, gradient in gradients.items():
        assert jnp.all(jnp.isfinite(gradient)), name
        assert bool(jnp.any(gradient)) != any(part in name for part in silent), name


INNER_ATTENTION = tuple(f"SelfAttention_0/{name}" for name in ("query", "key", "value", "output"))


@pytest.mark.slow
def test_every_parameter_of_tiny_networks_learns():
    generator = SNGANGenerator((8, 8, 3), 8, num_classes=3, attention_size=8)
    latents, images = jax.random.normal(KEY, (4, 5)), jax.random.normal(KEY, (4, 8, 8, 3))
    assert_every_parameter_learns(generator, latents, LABELS, silent=INNER_ATTENTION)
    discriminator = SNGANDiscriminator((8, 8, 3), 8, num_classes=3, head_outputs=2, attention_size=4)
    assert_every_parameter_learns(discriminator, images, LABELS, silent=INNER_ATTENTION)


def test_training_moves_every_vector_and_judges_each_image_alone():
    discriminator, images = SNGANDiscriminator((8, 8, 1), 8), jax.random.normal(KEY, (4, 8, 8, 1))
    params, model_state = initialized(discriminator, images)
    assert set(model_state) == {COLLECTION}
    run = jax.jit(lambda state, images: apply_network(discriminator, params, state, images, train=True))
    logits, updated = run(model_state, images)
    chex.assert_shape(logits, (4,))
    assert jax.tree.structure(updated) == jax.tree.structure(model_state)
    vectors = zip(*map(jax.tree.leaves, (updated, model_state)), strict=True)
    assert all(len(u) == 1 or not np.array_equal(u, old) for u, old in vectors)
    alone, _ = run(model_state, images[:1])
    np.testing.assert_allclose(alone, logits[:1], rtol=1e-4, atol=1e-5)


def test_impossible_sizes_name_the_possible_ones():
    with pytest.raises(UserError, match=r"4 \* 2\^k .* 7 \* 2\^k"):
        SNGANGenerator((30, 30, 1)).init(KEY, jnp.zeros((1, 4)), train=True)
    with pytest.raises(UserError, match="choose one of 8, 16, 32"):
        SNGANGenerator(width=8, attention_size=12).init(KEY, jnp.zeros((1, 4)), train=True)


def test_labels_without_classes_are_refused():
    with pytest.raises(ValueError, match="exactly where it has"):
        outputs_and_shapes(SNGANDiscriminator((8, 8, 1), 8), jnp.zeros((1, 8, 8, 1)), jnp.zeros(1, jnp.int32))
