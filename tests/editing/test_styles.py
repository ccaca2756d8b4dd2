"""Bands, mixing and truncation of styles, and the projection of an image, on generators known on paper."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.editing.projection import (
    feature_distance,
    noise_correlation,
    normalized_noise,
    pixel_distance,
    project_image,
)
from jaxgen.editing.styles import mixed, style_bands, truncated


def test_the_bands_are_those_of_the_paper_at_1024_and_cover_all_layers_at_every_size():
    assert style_bands(18) == {"coarse": slice(0, 4), "middle": slice(4, 8), "fine": slice(8, 18)}
    assert style_bands(8) == {"coarse": slice(0, 2), "middle": slice(2, 4), "fine": slice(4, 8)}
    for layers in range(4, 20, 2):
        covered = [i for band in style_bands(layers).values() for i in range(layers)[band]]
        assert covered == list(range(layers))


def test_mixing_takes_the_bands_styles_and_leaves_the_others():
    into, taken = jnp.arange(2 * 6 * 3.0).reshape(2, 6, 3), -jnp.arange(1.0, 1 + 3 * 6 * 3).reshape(3, 6, 3)
    both = np.asarray(mixed(into, taken, slice(2, 4)))
    chex.assert_shape(both, (3, 2, 6, 3))
    for b in range(3):
        for a in range(2):
            np.testing.assert_array_equal(both[b, a, 2:4], taken[b, 2:4])
            np.testing.assert_array_equal(both[b, a, :2], into[a, :2])
            np.testing.assert_array_equal(both[b, a, 4:], into[a, 4:])


def test_truncation_goes_from_the_average_to_the_styles_and_beyond():
    styles, average = jnp.ones((2, 4, 3)), jnp.array([1.0, 2.0, 3.0])
    swept = np.asarray(truncated(styles, average, jnp.array([0.0, 0.5, 1.0, 2.0])))
    chex.assert_shape(swept, (2, 4, 4, 3))
    np.testing.assert_allclose(swept[1, :, 2], [[1.0, 2.0, 3.0], [1.0, 1.5, 2.0], [1.0, 1.0, 1.0], [1.0, 0.0, -1.0]])


def test_the_correlation_of_noise_is_small_for_white_noise_and_large_for_an_image():
    white = [jnp.asarray(np.random.default_rng(i).normal(size=(1, 32, 32, 1))) for i in range(20)]
    scales = 3  # 32, 16 and 8 wide: about 2 for each
    assert float(noise_correlation(white)) / 20 == pytest.approx(2.0 * scales, rel=0.5)
    ramp = normalized_noise([jnp.linspace(-1.0, 1.0, 1024).reshape(1, 32, 32, 1)])
    assert float(noise_correlation(ramp)) > 500.0
    assert float(noise_correlation([jnp.ones((1, 4, 4, 1))])) == 0.0
    expected = 64 * (1.0 + 1.0)  # of ones, 8 wide, both products are 1
    assert float(noise_correlation([jnp.ones((1, 8, 8, 1))])) == pytest.approx(expected)


@pytest.mark.parametrize(("space", "move_noise"), [("w", True), ("w+", False)])
def test_projection_finds_the_styles_of_an_image_that_the_generator_can_make(space, move_noise):
    rng = np.random.default_rng(3)
    layers, size = 3, 4
    matrices = jnp.asarray(rng.normal(size=(layers, size, 8 * 8 * 2)).astype(np.float32)) / 8.0

    def synthesize(matrices, styles, noise):  # of one style for all layers, the noise adds what it should not
        images = jnp.einsum("bns,nsp->bp", styles, matrices).reshape(-1, 8, 8, 2)
        return images + 0.01 * noise[0]

    true = rng.normal(size=(1, size) if space == "w" else (layers, size)).astype(np.float32)
    styles = jnp.broadcast_to(true, (layers, size))
    noise = [jnp.asarray(rng.normal(size=(1, 8, 8, 1)).astype(np.float32))]
    target = synthesize(matrices, styles[None], noise)[0]
    heard, begun = [], [jnp.asarray(normalized_noise([rng.normal(size=(1, 8, 8, 1)).astype(np.float32)])[0])]
    found = project_image(
        synthesize,
        matrices,
        target,
        average=jnp.zeros(size),
        spread=jnp.array(2.0),
        noise=begun,
        layers=layers,
        key=jax.random.key(0),
        distance=pixel_distance(),
        space=space,
        move_noise=move_noise,
        steps=400,
        progress=lambda step, distance: heard.append((step, float(distance))),
        every=150,
    )
    assert [step for step, _ in heard] == [150, 300, 400]
    np.testing.assert_allclose(found.styles, styles, atol=0.05)
    assert float(found.distance) == heard[-1][1] < 1e-3
    assert np.array_equal(found.noise[0], begun[0]) == (not move_noise)
    np.testing.assert_allclose([found.noise[0].mean(), found.noise[0].std()], [0.0, 1.0], atol=1e-4)


@pytest.mark.slow
def test_the_distance_by_features_is_none_for_the_image_itself_and_grows_with_what_is_done_to_it():
    variables, distance = feature_distance()
    target = jnp.asarray(np.random.default_rng(4).uniform(-1, 1, (64, 64, 3)).astype(np.float32))
    noise = jnp.asarray(np.random.default_rng(5).normal(size=target.shape).astype(np.float32))
    images = jnp.stack([target, target + 0.1 * noise, target + 0.5 * noise])
    apart = np.asarray(jax.jit(distance)(variables, images, target))
    assert apart[0] == pytest.approx(0.0, abs=1e-6)
    assert 0.0 < apart[1] < apart[2]
