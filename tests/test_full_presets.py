"""The full presets of what was not run at that size: shapes and numbers of parameters, without computing anything."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.experiments import cifar10_biggan, cifar10_sngan, emoji_sngan, image_dcgan, mnist_made, mnist_pixelcnn

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
    classes = [str(i) for i in range(10)]
    model = module.EXPERIMENT.build_model(config, {"image_shape": list(image_shape), "class_names": classes})
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
