"""The loss of style: Gram matrices by hand, and distances that are 0 where they must be."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import all_maps

from jaxgen.models.image_to_image.stylization import Losses, Weights, content_of, gram_matrix, style_losses, style_of

KEY = jax.random.key(0)


def losses_of(image, content, style):
    return style_losses(image, all_maps(image), content, style)


def test_gram_matrices_are_mean_products_of_channels():
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    expected = [np.mean([np.outer(v, v) for v in image.reshape(12, 5)], 0) for image in x]
    np.testing.assert_allclose(gram_matrix(jnp.asarray(x)), expected, rtol=1e-5, atol=1e-6)


def test_an_image_has_its_own_content_and_the_style_of_its_pixels_in_any_order():
    image = jax.random.uniform(KEY, (1, 6, 6, 3))
    mixed = jax.random.permutation(jax.random.key(1), image.reshape(1, 36, 3), axis=1).reshape(image.shape)
    targets = content_of(all_maps(image)), style_of(all_maps(image))
    same, shuffled = (losses_of(x, *targets) for x in (image, mixed))
    assert float(same.content[0]) == float(same.style[0]) == 0.0
    assert float(shuffled.style[0]) < 1e-10
    assert float(shuffled.content[0]) > 1e-3
    flat = losses_of(jnp.full_like(image, 0.3), *targets)
    assert float(flat.smoothness[0]) == 0.0 < float(same.smoothness[0])
    doubled = [2 * x for x in targets[0]]  # relative: as far from twice its maps as 1 is from 2
    assert float(losses_of(image, doubled, targets[1]).content[0]) == pytest.approx(0.25, rel=1e-5)


def test_images_of_a_batch_do_not_see_each_other_and_share_one_style():
    images = jax.random.uniform(KEY, (3, 6, 6, 3))
    content, style = content_of(all_maps(images[::-1])), style_of(all_maps(images[:1]))
    together = losses_of(images, content, style)
    for i in range(3):
        alone = losses_of(images[i : i + 1], [maps[i : i + 1] for maps in content], style)
        np.testing.assert_allclose([values[i] for values in together], [values[0] for values in alone], rtol=1e-5)
    assert float(together.style[0]) == 0.0 < float(together.style[1])
    weighed = Losses(*jnp.arange(1.0, 4.0)[:, None]).total(Weights(1.0, 10.0, 100.0))
    np.testing.assert_allclose(weighed, [321.0])
