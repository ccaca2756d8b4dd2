"""Geometry of latents: walks, planes, directions, class means. Pure functions of arrays."""

import jax
import jax.numpy as jnp
import numpy as np


def slerp(start: jax.Array, end: jax.Array, fraction: jax.Array) -> jax.Array:
    """Return the point at `fraction` of the great circle from `start` to `end` [..., L] (Shoemake 1985).

    A straight line between Gaussian latents passes through vectors that are too short to be samples of the prior.
    """
    cosine = jnp.sum(start * end, -1, keepdims=True)
    cosine /= jnp.linalg.norm(start, axis=-1, keepdims=True) * jnp.linalg.norm(end, axis=-1, keepdims=True)
    angle = jnp.arccos(jnp.clip(cosine, -1 + 1e-6, 1 - 1e-6))
    return (jnp.sin((1 - fraction) * angle) * start + jnp.sin(fraction * angle) * end) / jnp.sin(angle)


def lerp(start: jax.Array, end: jax.Array, fraction: jax.Array) -> jax.Array:
    """Return the point at `fraction` of the straight line from `start` to `end` [..., L]."""
    return (1 - fraction) * start + fraction * end


def walk(start: jax.Array, end: jax.Array, steps: int, *, spherical: bool) -> jax.Array:
    """Return `steps` latents [..., steps, L] from `start` to `end` [..., L], both included."""
    fractions = jnp.linspace(0.0, 1.0, steps)[:, None]
    return (slerp if spherical else lerp)(start[..., None, :], end[..., None, :], fractions)


def traversals(latent: np.ndarray, dimensions: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return one latent [L] with each of the dimensions [D] set to each of its values [D, V] in turn: [D, V, L]."""
    moved = np.tile(latent, (*values.shape, 1))
    moved[np.arange(len(dimensions))[:, None], np.arange(values.shape[1]), dimensions[:, None]] = values
    return moved


def normal_grid(size: int) -> np.ndarray:
    """Return a plane of two latents [size, size, 2], equal shares of a standard normal's probability apart.

    The first latent runs down. These are points of the unit square's grid, mapped through the inverse normal CDF
    (Kingma and Welling 2014, appendix A, figure 4).
    """
    values = np.asarray(jax.scipy.stats.norm.ppf((np.arange(size) + 0.5) / size))
    return np.stack(np.meshgrid(values, values, indexing="ij"), -1)


def plane_through(corners: np.ndarray, size: int) -> np.ndarray:
    """Return the parallelogram a + u (b - a) + v (c - a), [size, size, L], of the corners a, b, c [3, L].

    u runs to the right and v down, from 0 to 1 each.
    """
    along = np.linspace(0.0, 1.0, size)
    right, down = corners[1] - corners[0], corners[2] - corners[0]
    return corners[0] + along[None, :, None] * right + along[:, None, None] * down


def principal_components(latents: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the mean [L], the principal directions [L, L] as rows and their standard deviations [L] of latents [N, L].

    The largest standard deviation comes first. A direction's sign is arbitrary; here its largest entry is positive.
    """
    latents = np.asarray(latents, np.float64)
    mean = latents.mean(0)
    _, sizes, directions = np.linalg.svd(latents - mean, full_matrices=False)
    largest = np.take_along_axis(directions, np.abs(directions).argmax(1)[:, None], 1)
    return mean, directions * np.sign(largest), sizes / np.sqrt(len(latents))


def class_means(latents: np.ndarray, labels: np.ndarray) -> dict[int, np.ndarray]:
    """Return the mean latent [L] of each class among latents [N, L] with labels [N]."""
    return {int(label): latents[labels == label].mean(0) for label in np.unique(labels)}
