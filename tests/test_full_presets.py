"""The full presets of what was not run at that size: shapes and numbers of parameters, without computing anything."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.experiments import (
    cifar10_biggan,
    cifar10_diffusion,
    cifar10_sngan,
    emoji_diffusion,
    emoji_sngan,
    image_dcgan,
    image_stylegan2,
    mnist_diffusion,
    mnist_made,
    mnist_pixelcnn,
)

ASSETS = {"class_names": list("0123456789"), "data_variance": 0.3}
COUNTS = {
    # tests/networks adds these up from the papers' tables of layers
    "cifar10_sngan": (cifar10_sngan, 32, 4_274_435, 1_053_825),
    "emoji_sngan": (emoji_sngan, 32, 4_274_435, 1_053_825),
    "cifar10_biggan": (cifar10_biggan, 32, 9_412_740, 9_641_090),
    # the DCGAN paper's 64x64: kernels 5x5 between 1024-512-256-128-3 and the stem of 100 x 4 x 4 x 1024
    "image_dcgan": (
        image_dcgan,
        64,
        100 * 16 * 1024 + 25 * (1024 * 512 + 512 * 256 + 256 * 128 + 128 * 3) + 3 + 2 * (1024 + 512 + 256 + 128),
        25 * (3 * 128 + 128 * 256 + 256 * 512 + 512 * 1024) + 128 + 2 * (256 + 512 + 1024) + 16 * 1024 + 1,
    ),
}
AUTOREGRESSIVE_COUNTS = {
    # 784 - 8000 - 784, and 784 x 784 directly: with the weights that the masks leave out
    "mnist_made": (mnist_made, 784 * 8000 + 8000 + 8000 * 784 + 784 + 784 * 784),
    # of a 7x7 kernel 3 rows and 3 places are seen, of 15 with 3x3 the row and the place they stand at, too; 1x1 between
    "mnist_pixelcnn": (
        mnist_pixelcnn,
        2 * 2
        + (21 * 2 * 256 + 256)
        + (3 * 2 * 256 + 256)
        + 15 * (6 * 128 * 256 + 256)
        + 15 * (2 * 128 * 256 + 256)
        + 16 * (256 * 256 + 256)
        + 16 * (128 * 128 + 128)
        + (128 * 256 + 256)
        + (256 * 2 + 2),
    ),
}


def numbers_of_parameters(module, *image_shape):
    """Of each network of the full preset, which takes a step and makes images of this shape."""
    config = module.EXPERIMENT.presets["full"]
    model = module.EXPERIMENT.build_model(config, ASSETS | {"image_shape": list(image_shape)})
    batch = {
        "image": jax.ShapeDtypeStruct((2, *image_shape), jnp.float32),
        "label": jax.ShapeDtypeStruct((2,), jnp.int32),
        "index": jax.ShapeDtypeStruct((2,), jnp.uint32),
    }
    key = jax.eval_shape(lambda: jax.random.key(0))
    state = jax.eval_shape(model.init, key, batch)
    after, _ = jax.eval_shape(model.train_step, state, batch, key)
    assert jax.tree.map(lambda x: x.shape, after.params) == jax.tree.map(lambda x: x.shape, state.params)
    samples = jax.eval_shape(lambda state, key: model.sample(state, key, 3), state, key)
    assert samples.shape == (3, *image_shape)
    return {n: sum(int(np.prod(x.shape)) for x in jax.tree.leaves(tree)) for n, tree in state.params.items()}


@pytest.mark.parametrize("name", COUNTS)
def test_the_full_preset_has_the_stated_parameters_and_makes_images(name):
    module, size, generator, discriminator = COUNTS[name]
    assert module.EXPERIMENT.presets["full"].image_size == size
    assert numbers_of_parameters(module, size, size, 3) == {"generator": generator, "discriminator": discriminator}


@pytest.mark.parametrize("name", AUTOREGRESSIVE_COUNTS)
def test_the_full_preset_of_an_autoregressive_model_has_the_stated_parameters_and_makes_images(name):
    module, count = AUTOREGRESSIVE_COUNTS[name]
    assert numbers_of_parameters(module, 28, 28, 1) == {"autoregressive": count}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "generator", "discriminator"), [(256, 30_034_338, 28_864_129), (1024, 30_370_060, 29_012_513)]
)
def test_the_full_preset_of_stylegan2_has_the_published_parameters_and_makes_images(size, generator, discriminator):
    config = image_stylegan2.EXPERIMENT.presets["full"]
    assert (config.image_size, config.channel_base, config.r1_weight, config.path_weight) == (1024, 32_768, 10.0, 2.0)
    counts = numbers_of_parameters(image_stylegan2, size, size, 3)
    assert counts == {"generator": generator, "discriminator": discriminator}


def unet_count(*, channels, width, factors, blocks, attended, classes):
    """Parameters of a U-Net, from its description; `attended` says at which levels blocks are followed by attention."""
    size = 4 * width
    conv = lambda kernel, before, after: kernel**2 * before * after + after  # noqa: E731

    def block(before, after, attention=False):
        count = 2 * before + conv(3, before, after) + (size + 1) * 2 * after + 2 * after + conv(3, after, after)
        count += conv(1, before, after) if before != after else 0
        return count + (2 * after + 4 * (after + 1) * after if attention else 0)

    widths = [width * factor for factor in factors]
    total, skips, now = conv(3, channels, width), [width], width
    for level, after in enumerate(widths):
        if level:
            total, now = total + block(now, after), after
            skips.append(now)
        for _ in range(blocks):
            total, now = total + block(now, after, level in attended), after
            skips.append(now)
    total += block(now, now, len(widths) - 1 in attended)
    for level, after in reversed(list(enumerate(widths))):
        for _ in range(blocks + 1):
            total, now = total + block(now + skips.pop(), after, level in attended), after
        total += block(now, now) if level else 0
    embedding = (size // 2 + 1) * size + (size + 1) * size + (classes + 1) * size
    return total + 2 * now + conv(3, now, channels) + embedding


DIFFUSION_COUNTS = {
    "mnist_diffusion": (
        mnist_diffusion,
        (28, 28, 1),
        {"channels": 1, "width": 64, "factors": (1, 2, 4), "blocks": 2, "attended": (2,), "classes": 10},
    ),
    "emoji_diffusion": (
        emoji_diffusion,
        (32, 32, 3),
        {"channels": 3, "width": 128, "factors": (1, 2, 2), "blocks": 2, "attended": (1, 2), "classes": 10},
    ),
    "cifar10_diffusion": (
        cifar10_diffusion,
        (32, 32, 3),
        {"channels": 3, "width": 128, "factors": (2, 2, 2), "blocks": 4, "attended": (1,), "classes": 10},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", DIFFUSION_COUNTS)
def test_the_full_preset_of_a_diffusion_model_has_the_stated_parameters_and_makes_images(name):
    module, shape, sizes = DIFFUSION_COUNTS[name]
    counts = numbers_of_parameters(module, *shape)
    assert counts == {"diffusion": unet_count(**sizes)}
