"""Walks, planes and directions between latents, against SciPy and closed forms."""

import chex
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from scipy.spatial import geometric_slerp

from jaxgen.editing import latents as maths


def test_spherical_walks_agree_with_scipy_and_keep_the_length():
    rng = np.random.default_rng(0)
    ends = rng.normal(size=(2, 7))
    ends /= np.linalg.norm(ends, axis=-1, keepdims=True)
    walk = maths.walk(jnp.asarray(ends[0], jnp.float32), jnp.asarray(ends[1], jnp.float32), 5, spherical=True)
    expected = geometric_slerp(*ends, np.linspace(0, 1, 5))
    np.testing.assert_allclose(walk, expected, atol=1e-5)


@pytest.mark.parametrize("spherical", [True, False])
def test_walks_begin_and_end_at_their_ends(spherical):
    start, end = np.random.default_rng(1).normal(size=(2, 3, 4)).astype(np.float32)
    walks = maths.walk(jnp.asarray(start), jnp.asarray(end), 6, spherical=spherical)
    chex.assert_shape(walks, (3, 6, 4))
    np.testing.assert_allclose(walks[:, 0], start, atol=1e-5)
    np.testing.assert_allclose(walks[:, -1], end, atol=1e-5)


def test_straight_walks_are_straight():
    walk = np.asarray(maths.walk(jnp.zeros(3), jnp.array([1.0, 2.0, 4.0]), 5, spherical=False))
    np.testing.assert_allclose(walk, np.linspace(0, 1, 5)[:, None] * [1, 2, 4], rtol=1e-6)


def test_a_traversal_moves_one_latent_at_a_time():
    latent = np.arange(4.0)
    moved = maths.traversals(latent, np.array([3, 1]), np.array([[7.0, 8, 9], [10, 11, 12]]))
    np.testing.assert_array_equal(moved[0], [[0, 1, 2, 7], [0, 1, 2, 8], [0, 1, 2, 9]])
    np.testing.assert_array_equal(moved[1], [[0, 10, 2, 3], [0, 11, 2, 3], [0, 12, 2, 3]])


def test_the_normal_grid_cuts_a_normal_into_equal_shares():
    grid = maths.normal_grid(4)
    quantiles = scipy.stats.norm.ppf([0.125, 0.375, 0.625, 0.875])
    np.testing.assert_allclose(grid[:, 0, 0], quantiles, rtol=1e-5)
    np.testing.assert_allclose(grid[0, :, 1], quantiles, rtol=1e-5)
    assert np.ptp(grid[0, :, 0]) == 0


def test_a_plane_goes_through_its_three_points():
    corners = np.random.default_rng(2).normal(size=(3, 5))
    plane = maths.plane_through(corners, 4)
    np.testing.assert_allclose([plane[0, 0], plane[0, -1], plane[-1, 0]], corners)
    np.testing.assert_allclose(plane[-1, -1], corners[1] + corners[2] - corners[0])


def test_principal_components_are_the_covariances_eigenvectors():
    rng = np.random.default_rng(3)
    latents = rng.normal(size=(400, 3)) * [1.0, 5.0, 2.0] @ np.linalg.qr(rng.normal(size=(3, 3)))[0] + 4
    mean, directions, spread = maths.principal_components(latents)
    values, vectors = np.linalg.eigh(np.cov(latents.T, bias=True))
    np.testing.assert_allclose(mean, latents.mean(0))
    np.testing.assert_allclose(spread**2, values[::-1], rtol=1e-8)
    np.testing.assert_allclose(np.abs(directions), np.abs(vectors.T[::-1]), atol=1e-8)
    assert (directions[np.arange(3), np.abs(directions).argmax(1)] > 0).all()


def test_class_means_are_of_each_class_alone():
    means = maths.class_means(np.array([[1.0, 2], [3, 4], [5, 8]]), np.array([7, 2, 7]))
    assert set(means) == {2, 7}
    np.testing.assert_allclose(means[7], [3, 5])
