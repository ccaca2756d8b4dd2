"""How images are changed: those a classifier is trained on, and those a discriminator sees."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from jaxgen.core.errors import UserError
from jaxgen.core.keys import example_keys
from jaxgen.models.augmentation import (
    POLICIES,
    adaptive_augmentation,
    differentiable_augmentation,
    jitter,
    random_mirror,
    random_shift,
    random_turn,
)

IMAGES = np.kron(np.random.default_rng(3).integers(0, 256, (6, 7, 7, 1)), np.ones((1, 4, 4, 1))).astype(np.float32)
KEYS = example_keys(jax.random.key(0), jnp.arange(6, dtype=jnp.uint32))


def test_a_turn_is_that_of_scipy():
    degrees, scale = 20.0, 0.2
    turned = np.asarray(random_turn(IMAGES, KEYS, degrees=degrees, scale=scale))
    for i, (image, actual) in enumerate(zip(IMAGES, turned, strict=True)):
        angle, factor = np.asarray(jax.random.uniform(KEYS[i], (2,), minval=-1.0)) * [np.deg2rad(degrees), scale]
        # scipy's matrix takes a place in the output to the place in the input that is seen there
        matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / (1 + factor)
        offset = 13.5 - matrix @ [13.5, 13.5]
        expected = scipy.ndimage.affine_transform(image[..., 0], matrix, offset, order=1, mode="nearest")
        np.testing.assert_allclose(actual[..., 0], expected, atol=0.02)
    assert len({image.tobytes() for image in turned}) == 6
    assert np.abs(turned - IMAGES).max() > 100


def test_an_image_and_its_partner_are_mirrored_and_moved_alike():
    changed, partner = (np.asarray(jitter(x, KEYS, pixels=2, mirror=True)) for x in (IMAGES, 255 - IMAGES))
    np.testing.assert_array_equal(changed, 255 - partner)
    mirrored = np.asarray(random_mirror(IMAGES, KEYS))
    ways = [(x == y).all() or (x == y[:, ::-1]).all() for x, y in zip(mirrored, IMAGES, strict=True)]
    assert all(ways)
    same = {bool((x == y).all()) for x, y in zip(mirrored, IMAGES, strict=True)}
    assert same == {True, False}
    np.testing.assert_array_equal(jitter(IMAGES, KEYS, pixels=0, mirror=False), IMAGES)


def test_no_turn_leaves_the_images_as_they_are():
    np.testing.assert_allclose(random_turn(IMAGES, KEYS, degrees=0.0, scale=0.0), IMAGES, atol=1e-3)


def test_each_image_is_turned_by_its_own_key():
    alone = random_turn(IMAGES[2:3], KEYS[2:3], degrees=15.0, scale=0.1)
    together = random_turn(IMAGES, KEYS, degrees=15.0, scale=0.1)
    np.testing.assert_allclose(alone[0], together[2], atol=1e-3)


def test_random_shift_moves_by_whole_pixels_and_repeats_the_edges():
    images = jnp.asarray(np.random.default_rng(0).normal(size=(40, 6, 6, 1)).astype(np.float32))
    keys = example_keys(jax.random.key(0), jnp.arange(40, dtype=jnp.uint32))
    shifted = np.asarray(random_shift(images, keys, 2))
    padded = np.pad(np.asarray(images), ((0, 0), (2, 2), (2, 2), (0, 0)), mode="edge")
    places = set()
    for i, image in enumerate(shifted):
        found = [
            (top, left)
            for top in range(5)
            for left in range(5)
            if np.array_equal(image, padded[i, top : top + 6, left : left + 6])
        ]
        assert len(found) == 1
        places.add(found[0])
    assert {top for top, _ in places} == {left for _, left in places} == {0, 1, 2, 3, 4}
    np.testing.assert_array_equal(random_shift(images, keys, 0), images)


# ---------------------------------------------------------------- of what a discriminator sees


def apply(augmentation, images, keys=None, probability=1.0):
    keys = example_keys(jax.random.key(1), jnp.arange(len(images), dtype=jnp.uint32)) if keys is None else keys
    return np.asarray(jax.jit(augmentation.apply)(images, keys, jnp.asarray(probability)))


def test_translations_move_by_whole_pixels_up_to_an_eighth_and_fill_with_mid_gray():
    images = np.random.default_rng(0).normal(size=(60, 16, 16, 3)).astype(np.float32)
    moved = apply(differentiable_augmentation(["translation"]), images)
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)))
    places = set()
    for i, image in enumerate(moved):
        found = [
            (top, left)
            for top in range(5)
            for left in range(5)
            if np.allclose(image, padded[i, top : top + 16, left : left + 16], atol=1e-6)
        ]
        assert len(found) == 1
        places.add(found[0])
    assert {top for top, _ in places} == {left for _, left in places} == {0, 1, 2, 3, 4}


def test_cutout_takes_a_square_of_half_the_size_or_what_of_it_lies_inside():
    cut = apply(differentiable_augmentation(["cutout"]), np.ones((200, 16, 16, 1), np.float32))[..., 0] == 0.0
    for mask in cut:
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        assert 4 <= len(rows) <= 8
        assert 4 <= len(columns) <= 8
        assert mask[np.ix_(rows, columns)].all()
        assert mask.sum() == len(rows) * len(columns)
    assert cut.any(0).all()


def test_colors_change_brightness_saturation_and_contrast_within_their_ranges():
    image = np.random.default_rng(0).uniform(-1, 1, (8, 8, 3)).astype(np.float32)
    changed = apply(differentiable_augmentation(["colour"]), np.broadcast_to(image, (100, 8, 8, 3)))
    brightness = changed.mean((1, 2, 3)) - image.mean()
    assert -0.5 <= brightness.min() < -0.4
    assert 0.4 < brightness.max() <= 0.5
    gray = changed.mean(-1)
    contrast = gray.std((1, 2)) / image.mean(-1).std()  # saturation leaves the mean of the channels as it is
    assert 0.5 <= contrast.min() < 0.6
    assert 1.4 < contrast.max() <= 1.5
    saturation = (changed - gray[..., None]).std((1, 2, 3)) / (image - image.mean(-1)[..., None]).std() / contrast
    assert 0.0 <= saturation.min() < 0.1
    assert 1.9 < saturation.max() <= 2.0


@pytest.mark.slow
def test_gradients_pass_through_the_augmentations():
    images = jnp.asarray(np.random.default_rng(0).normal(size=(3, 16, 16, 3)).astype(np.float32))
    keys = example_keys(jax.random.key(1), jnp.arange(3, dtype=jnp.uint32))
    for augmentation in (differentiable_augmentation(list(POLICIES)), adaptive_augmentation()):

        def value(x, augmentation=augmentation):
            return jnp.sum(jnp.sin(augmentation.apply(x, keys, jnp.asarray(0.8))))

        direction = jnp.asarray(np.random.default_rng(1).normal(size=images.shape).astype(np.float32))
        slope = jnp.sum(jax.jit(jax.grad(value))(images) * direction)
        difference = (value(images + 1e-2 * direction) - value(images - 1e-2 * direction)) / 2e-2
        np.testing.assert_allclose(slope, difference, rtol=2e-2)


def test_an_adaptive_augmentation_of_probability_zero_does_nothing():
    images = np.random.default_rng(0).uniform(-1, 1, (5, 16, 16, 3)).astype(np.float32)
    np.testing.assert_allclose(apply(adaptive_augmentation(), images, probability=0.0), images, atol=1e-5)
    assert (np.abs(apply(adaptive_augmentation(), images) - images).reshape(5, -1).max(1) > 0.1).all()


def test_the_probability_says_how_many_images_are_changed():
    images = np.random.default_rng(0).uniform(-1, 1, (400, 8, 8, 1)).astype(np.float32)
    changed = apply(adaptive_augmentation(), images, probability=0.05)
    share = np.mean(np.abs(changed - images).reshape(400, -1).max(1) > 1e-4)
    # Nine changes of gray images; flip, quarter turn and inversion are often the identity, and two turns with
    # 1 - sqrt(1 - p) each.
    unchanged = (1 - 0.05 / 2) * (1 - 0.05 * 3 / 4) * (1 - 0.05) ** 7 * (1 - 0.05 / 2)
    assert share == pytest.approx(1 - unchanged, abs=4 * (unchanged * (1 - unchanged) / 400) ** 0.5)


def test_adaptive_augmentation_flips_left_and_right():
    """Where nothing else happens; among all changes a flip of the other axis is this one and a half turn."""
    images = np.random.default_rng(0).uniform(-1, 1, (400, 8, 8, 1)).astype(np.float32)
    changed = apply(adaptive_augmentation(), images, probability=0.05)
    flips = {"left and right": images[:, :, ::-1], "up and down": images[:, ::-1]}
    counts = {name: (np.abs(changed - x).reshape(400, -1).max(1) < 1e-4).sum() for name, x in flips.items()}
    assert counts["left and right"] >= 3
    assert counts["up and down"] == 0


def test_adaptive_augmentation_goes_as_far_as_the_paper_says():
    """Karras et al. 2020, appendix B: what happens to ramps says where pixels came from, to flat images how colors
    changed; the same keys for all."""
    count, size, middle = 600, 65, 32
    rows, columns = np.mgrid[:size, :size].astype(np.float32) - middle

    def changed(image):
        return apply(adaptive_augmentation(), np.broadcast_to(image, (count, *image.shape)))

    def spread(values, expected):
        assert np.mean(values) == pytest.approx(0.0, abs=4 * expected / count**0.5)
        assert np.std(values) == pytest.approx(expected, rel=4 / (2 * count) ** 0.5)

    dark, light = (changed(np.full((size, size, 1), value, np.float32))[:, middle, middle, 0] for value in (0, 1))
    factor = light - dark
    assert np.mean(factor < 0) == pytest.approx(0.5, abs=2 / count**0.5)  # inverted
    spread(np.log2(np.abs(factor)), 0.5)  # contrast
    spread(dark / factor, 0.2)  # brightness

    came_from = [
        (changed(ramp[..., None])[..., 0] - dark[:, None, None]) / factor[:, None, None] for ramp in (rows, columns)
    ]
    for places in came_from:  # whole pixels, uniform, and a normal shift
        spread(places[:, middle, middle], 0.125 * size * (1 / 3 + 1) ** 0.5)
    down = np.stack([x[:, middle + 1, middle] - x[:, middle, middle] for x in came_from], -1)
    right = np.stack([x[:, middle, middle + 1] - x[:, middle, middle] for x in came_from], -1)
    matrices = np.stack([down, right], -1)
    determinants = np.linalg.det(matrices)
    assert np.mean(determinants < 0) == pytest.approx(0.5, abs=2 / count**0.5)  # mirrored
    spread(0.5 * np.log2(np.abs(determinants)), 0.2)  # scale
    sizes = np.log2(np.linalg.svd(matrices, compute_uv=False))
    stretch = 0.5 * (sizes[:, 0] - sizes[:, 1])  # of both axes, by n and -n
    assert np.sqrt(np.mean(stretch**2)) == pytest.approx(0.2, rel=4 / (2 * count) ** 0.5)


def test_hues_turn_as_far_as_the_circle_and_saturation_by_its_octave():
    count, red = 600, np.float32([2.0, -1.0, -1.0])
    flat = np.broadcast_to(np.stack([0 * red, red, np.ones_like(red)])[:, None, None], (3, 2, 2, 3)).astype(np.float32)
    black, colored, white = (
        apply(adaptive_augmentation(), np.broadcast_to(image, (count, 2, 2, 3)))[:, 0, 0] for image in flat
    )
    contrast = np.abs((white - black).mean(-1))
    chroma = colored - black
    np.testing.assert_allclose(chroma.sum(-1), 0.0, atol=1e-4 * np.abs(chroma).max())
    octaves = np.log2(np.linalg.norm(chroma, axis=-1) / np.linalg.norm(red) / contrast)
    assert octaves.mean() == pytest.approx(0.0, abs=4 / count**0.5)
    assert octaves.std() == pytest.approx(1.0, rel=4 / (2 * count) ** 0.5)
    angles = np.arctan2((chroma[:, 1] - chroma[:, 2]) / 3**0.5, chroma[:, 0])
    quarters = np.histogram(angles, 4, (-np.pi, np.pi))[0] / count
    np.testing.assert_allclose(quarters, 0.25, atol=4 * (3 / 16 / count) ** 0.5)


def test_hues_turn_about_gray():
    gray = np.full((40, 8, 8, 3), 0.3, np.float32)
    turned = apply(adaptive_augmentation(), gray)
    np.testing.assert_allclose(turned, np.broadcast_to(turned.mean(-1, keepdims=True), turned.shape), atol=1e-5)


def test_an_unknown_policy_is_refused():
    with pytest.raises(UserError, match="made of colour, translation, cutout, not of colr"):
        differentiable_augmentation(["colr"])
