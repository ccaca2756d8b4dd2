"""Objectives of a discriminator's second output, which predicts the generator's labels or codes from an image."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax


class Head(NamedTuple):
    """The losses of the outputs [B, N] of a discriminator's head; the discriminator itself gets no labels.

    Every function returns one value per example, [B], that is added to the loss.
    """

    discriminator: Callable[[jax.Array, jax.Array, jax.Array, jax.Array], jax.Array]
    """(outputs of real images, outputs of generated ones, labels [B], latents [B, L])."""
    generator: Callable[[jax.Array, jax.Array, jax.Array], jax.Array]
    """(outputs of generated images, labels, latents)."""
    draws_labels: bool = False
    """Whether labels are codes drawn at random, rather than those of the batch."""
    uniform_latents: int = 0
    """Number of latents, the last ones, that are uniform in [-1, 1]."""


def auxiliary_classifier(weight: float = 1.0) -> Head:
    """Return ACGAN's head: the cross-entropy of the class, for real and for generated images.

    Odena et al. 2017, arXiv:1610.09585, eq. 3.

    The discriminator minimizes both, the generator that of generated images; N is the number of classes.
    """
    entropy = optax.softmax_cross_entropy_with_integer_labels

    def discriminator(real: jax.Array, generated: jax.Array, labels: jax.Array, latents: jax.Array) -> jax.Array:
        del latents
        return weight * (entropy(real, labels) + entropy(generated, labels))

    def generator(generated: jax.Array, labels: jax.Array, latents: jax.Array) -> jax.Array:
        del latents
        return weight * entropy(generated, labels)

    return Head(discriminator, generator)


def mutual_information(num_codes: int, num_uniform: int, *, weight: float = 1.0, uniform_weight: float = 0.1) -> Head:
    """Return InfoGAN's head: a lower bound of the mutual information of an image and its code.

    Chen et al. 2016, arXiv:1606.03657, eqs. 5 and 6.

    Both networks minimize -log Q(c | G(z, c)): the cross-entropy of a categorical code of `num_codes` values, and the
    squared error of `num_uniform` codes uniform in [-1, 1] (Q normal with variance 1). The code's number is the
    "label"; N = num_codes + num_uniform.
    """

    def information(generated: jax.Array, labels: jax.Array, latents: jax.Array) -> jax.Array:
        entropy = optax.softmax_cross_entropy_with_integer_labels(generated[:, :num_codes], labels)
        errors = generated[:, num_codes:] - latents[:, latents.shape[-1] - num_uniform :]
        return weight * entropy + uniform_weight * 0.5 * jnp.sum(jnp.square(errors), -1)

    def discriminator(real: jax.Array, generated: jax.Array, labels: jax.Array, latents: jax.Array) -> jax.Array:
        del real
        return information(generated, labels, latents)

    return Head(discriminator, information, draws_labels=True, uniform_latents=num_uniform)
