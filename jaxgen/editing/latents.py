"""What is between and around latents: walks, planes, directions, neighbors. Pure functions of arrays."""

import jax
import jax.numpy as jnp
import numpy as np


def slerp(start: jax.Array, end: jax.Array, fraction: jax.Array) -> jax.Array:
    """The point at `fraction` of the great circle from `start` to `end` [..., L] (Shoemake 1985).

    Between Gaussian latents a straight line passes through vectors that are too short to be samples of the prior.
    """
    cosine = jnp.sum(start * end, -1, keepdims=True)
    cosine /= jnp.linalg.norm(start, axis=-1, keepdims=True) * jnp.linalg.norm(end, axis=-1, keepdims=True)
    angle = jnp.arccos(jnp.clip(cosine, -1 + 1e-6, 1 - 1e-6))
    return (jnp.sin((1 - fraction) * angle) * start + jnp.sin(fraction * angle) * end) / jnp.sin(angle)


def lerp(start: jax.Array, end: jax.Array, fraction: jax.Array) -> jax.Array:
    """The point at `fraction` of the straight line from `start` to `end` [..., L]."""
    return (1 - fraction) * start + fraction * end


def walk(start: jax.Array, end: jax.Array, steps: int, *, spherical: bool) -> jax.Array:
    """`steps` latents from `start` to `end` [..., L], both among them: [..., steps, L]."""
    fractions = jnp.linspace(0.0, 1.0, steps)[:, None]
    return (slerp if spherical else lerp)(start[..., None, :], end[..., None, :], fractions)


def traversals(latent: np.ndarray, dimensions: np.ndarray, values: np.ndarray) -> np.ndarray:
    """One latent [L] with each of the named dimensions [D] set to each of its values [D, V] in turn: [D, V, L]."""
    moved = np.tile(latent, (*values.shape, 1))
    moved[np.arange(len(dimensions))[:, None], np.arange(values.shape[1]), dimensions[:, None]] = values
    return moved


def normal_grid(size: int) -> np.ndarray:
    """[size, size, 2]: a plane of two latents, equal shares of a standard normal's probability apart, first down.

    Points of the unit square's grid through the inverse normal CDF (Kingma and Welling 2014, appendix A, figure 4).
    """
    values = np.asarray(jax.scipy.stats.norm.ppf((np.arange(size) + 0.5) / size))
    return np.stack(np.meshgrid(values, values, indexing="ij"), -1)


def plane_through(corners: np.ndarray, size: int) -> np.ndarray:
    """The parallelogram a + u (b - a) + v (c - a) for u to the right and v down in 0..1; corners a, b, c [3, L] ->
    [size, size, L]."""
    along = np.linspace(0.0, 1.0, size)
    right, down = corners[1] - corners[0], corners[2] - corners[0]
    return corners[0] + along[None, :, None] * right + along[:, None, None] * down


def principal_components(latents: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean [L], directions [L, L] as rows and standard deviations along them [L], largest first, of latents [N, L].

    A direction's sign is arbitrary; here its largest entry is positive.
    """
    latents = np.asarray(latents, np.float64)
    mean = latents.mean(0)
    _, sizes, directions = np.linalg.svd(latents - mean, full_matrices=False)
    largest = np.take_along_axis(directions, np.abs(directions).argmax(1)[:, None], 1)
    return mean, directions * np.sign(largest), sizes / np.sqrt(len(latents))


def class_means(latents: np.ndarray, labels: np.ndarray) -> dict[int, np.ndarray]:
    """The mean latent [L] of each class among latents [N, L] with labels [N]."""
    return {int(label): latents[labels == label].mean(0) for label in np.unique(labels)}
