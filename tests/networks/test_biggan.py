"""BigGAN's plans against published parameter counts, its conditioning, and tiny ones that learn."""

import flax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.core.errors import UserError
from jaxgen.models.variables import apply_network, init_network
from jaxgen.networks.biggan import BigGANDiscriminator, BigGANGenerator

KEY = jax.random.key(0, impl="unsafe_rbg")  # compiles much faster than the default
LABELS = jnp.arange(4) % 3
TINY = {"image_shape": (8, 8, 3), "width": 4, "num_classes": 3}


def outputs_and_count(network, *inputs):
    """The outputs' shape and the number of parameters, by tracing only."""
    outputs, variables = jax.eval_shape(lambda *x: network.init_with_output(KEY, *x, train=True), *inputs)
    return outputs.shape, sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(variables["params"]))


def initialized(network, *inputs):
    """(params, model state), compiled: much faster than Flax's eager `init`."""
    return jax.jit(lambda *x: init_network(network, KEY, *x))(*inputs)


@pytest.mark.parametrize(
    ("size", "latents", "attention", "generator", "discriminator", "widths"),
    [
        # Counts of google/compare_gan's resnet_biggan. Its generator also has the three biases of each block that batch
        # norm takes away; its discriminator for 256x256 lacks the shortcut of a halving block from 768 to 768 channels.
        (128, 120, (64, 64), 70_433_988, 87_982_370, (16, 8, 4, 2, 1)),
        (256, 140, (128, 64), 82_097_604, 98_635_298 + 769 * 768, (16, 8, 8, 4, 2, 1)),
    ],
)
def test_the_paper_s_networks_have_the_published_number_of_parameters(
    size, latents, attention, generator, discriminator, widths
):
    options = {"image_shape": (size, size, 3), "width": 96, "num_classes": 1000}
    labels = jnp.zeros(2, jnp.int32)
    shape, number = outputs_and_count(
        BigGANGenerator(**options, attention_size=attention[0]), jnp.zeros((2, latents)), labels
    )
    assert (shape, number) == ((2, size, size, 3), generator - 3 * 96 * sum(widths))
    shape, number = outputs_and_count(
        BigGANDiscriminator(**options, attention_size=attention[1]), jnp.zeros((2, size, size, 3)), labels
    )
    assert (shape, number) == ((2,), discriminator)


def test_the_networks_for_cifar10_have_the_parameters_of_their_plan():
    """Summed by hand from the table for 32x32 in the authors' PyTorch code (width 64, no shared embedding)."""
    labels = jnp.zeros(2, jnp.int32)
    shape, number = outputs_and_count(BigGANGenerator(shared_size=None), jnp.zeros((2, 128)), labels)
    block = 2 * 9 * 256 * 256 + 256 * 256 + 4 * 10 * 256
    assert (shape, number) == ((2, 32, 32, 3), 129 * 16 * 256 + 3 * block + 2 * 256 + (9 * 256 + 1) * 3)
    shape, number = outputs_and_count(BigGANDiscriminator(), jnp.zeros((2, 32, 32, 3)), labels)
    square, flat = (9 * 256 + 1) * 256, 257 * 256
    first = (9 * 3 + 1) * 256 + square + 4 * 256
    assert (shape, number) == ((2,), first + 2 * square + flat + 2 * 2 * square + 257 + 10 * 256)


@pytest.mark.parametrize("size", [8, 28, 64])
def test_other_sizes_are_made_and_read(size):
    image_shape = (size, size, 1)
    latents = jnp.zeros((2, 60))
    labels = jnp.zeros(2, jnp.int32)
    assert outputs_and_count(BigGANGenerator(image_shape, 8), latents, labels)[0] == (2, *image_shape)
    assert outputs_and_count(BigGANDiscriminator(image_shape, 8), jnp.zeros((2, *image_shape)), labels)[0] == (2,)


@pytest.mark.slow
@pytest.mark.parametrize("shared_size", [pytest.param(6, marks=pytest.mark.slow), None])
def test_every_parameter_of_tiny_networks_learns(shared_size):
    latents, images = jax.random.normal(KEY, (4, 4)), jax.random.normal(KEY, (4, 8, 8, 3))
    generator = BigGANGenerator(**TINY, shared_size=shared_size, attention_size=8)
    discriminator = BigGANDiscriminator(**TINY, attention_size=4)
    inner = tuple(f"SelfAttention_0/{name}" for name in ("query", "key", "value", "output"))
    for network, inputs in ((generator, latents), (discriminator, images)):
        params, model_state = initialized(network, inputs, LABELS)

        def loss(params, network=network, inputs=inputs, model_state=model_state):
            return jnp.sum(jnp.sin(apply_network(network, params, model_state, inputs, LABELS, train=True)[0]))

        gradients = flax.traverse_util.flatten_dict(jax.jit(jax.grad(loss))(params), sep="/")
        for name, gradient in gradients.items():
            assert jnp.all(jnp.isfinite(gradient)), name
            # gamma starts at 0, so that nothing inside the attention learns in the first step
            assert bool(jnp.any(gradient)) != name.startswith(inner), name


def test_each_chunk_of_the_latents_and_the_class_change_the_image():
    generator = BigGANGenerator(**TINY, shared_size=6)
    latents = jax.random.normal(KEY, (4, 4))
    params, model_state = initialized(generator, latents, LABELS)

    @jax.jit
    def images(latents, labels):
        return apply_network(generator, params, model_state, latents, labels, train=False)[0]

    plain = images(latents, LABELS)
    assert float(jnp.abs(plain).max()) <= 1
    for chunk in (slice(0, 2), slice(2, 4)):
        assert jnp.abs(images(latents.at[:, chunk].add(1.0), LABELS) - plain).max((1, 2, 3)).min() > 1e-3
    changed = jnp.abs(images(latents, LABELS.at[0].set(2)) - plain).max((1, 2, 3))
    assert changed[0] > 1e-3
    assert not changed[1:].any()


def test_latents_that_cannot_be_split_and_unknown_sizes_are_refused():
    with pytest.raises(UserError, match=r"5 latents cannot be split between the stem and 1 blocks .* multiple of 2"):
        BigGANGenerator(**TINY).init(KEY, jnp.zeros((1, 5)), jnp.zeros(1, jnp.int32), train=True)
    with pytest.raises(UserError, match="no plan for images of 56x56"):
        BigGANDiscriminator((56, 56, 1)).init(KEY, jnp.zeros((1, 56, 56, 1)), jnp.zeros(1, jnp.int32), train=True)
