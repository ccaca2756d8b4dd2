"""The full presets of what was not run at that size: shapes and numbers of parameters, without computing anything."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.experiments import cifar10_biggan, cifar10_sngan, emoji_sngan, image_dcgan

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


@pytest.mark.parametrize("name", COUNTS)
def test_the_full_preset_has_the_stated_parameters_and_makes_images(name):
    module, size, generator, discriminator = COUNTS[name]
    config = module.EXPERIMENT.presets["full"]
    assert config.image_size == size
    classes = [str(i) for i in range(10)]
    model = module.EXPERIMENT.build_model(config, {"image_shape": [size, size, 3], "class_names": classes})
    batch = {
        "image": jax.ShapeDtypeStruct((2, size, size, 3), jnp.float32),
        "label": jax.ShapeDtypeStruct((2,), jnp.int32),
        "index": jax.ShapeDtypeStruct((2,), jnp.uint32),
    }
    key = jax.eval_shape(lambda: jax.random.key(0))
    state = jax.eval_shape(model.init, key, batch)
    counts = {n: sum(int(np.prod(x.shape)) for x in jax.tree.leaves(tree)) for n, tree in state.params.items()}
    assert counts == {"generator": generator, "discriminator": discriminator}
    after, _ = jax.eval_shape(model.train_step, state, batch, key)
    assert jax.tree.map(lambda x: x.shape, after.params) == jax.tree.map(lambda x: x.shape, state.params)
    samples = jax.eval_shape(lambda state, key: model.sample(state, key, 3), state, key)
    assert samples.shape == (3, size, size, 3)
