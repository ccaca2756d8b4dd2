"""Neural style transfer: one picture drawn in the manner of another (Gatys et al. 2016, "Image Style Transfer Using
Convolutional Neural Networks", CVPR), by the maps of the shipped EfficientNet-Lite0."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxgen.metrics.extractors import efficientnet_maps

CONTENT_MAPS = (4,)
"""Of EfficientNet-Lite0's maps (behind the stem, then behind each stage), at a sixteenth of the size."""
STYLE_MAPS = (1, 2, 3, 4)
"""From a half of the size to a sixteenth."""

Maps = Callable[[jax.Array], list[jax.Array]]


class Weights(NamedTuple):
    """Of the parts of the loss."""

    content: float = 1.0
    style: float = 100.0
    smoothness: float = 20.0


WEIGHTS = Weights()


class Losses(NamedTuple):
    """The parts, each [] and without its weight."""

    content: jax.Array
    style: jax.Array
    smoothness: jax.Array


def gram_matrix(maps: jax.Array) -> jax.Array:
    """[B, H, W, C] -> [B, C, C]: G = F^T F / (H W) with F [H W, C] (eq. 3, divided by the number of places)."""
    batch, height, width, channels = maps.shape
    flat = maps.reshape(batch, height * width, channels)
    return jnp.einsum("bpc,bpd->bcd", flat, flat) / (height * width)


def style_losses(image: jax.Array, content: Sequence[jax.Array], style: Sequence[jax.Array], maps: Maps) -> Losses:
    """How far an image [1, H, W, 3] in [-1, 1] is from the maps of one picture and the Gram matrices of another.

    Squared distances over the square of what they are measured from, a mean over the layers, so that layers and
    networks of any scale weigh the same (eqs. 1 and 5 but for that). Smoothness is the mean squared difference of
    neighbouring pixels.
    """

    def relative(values: jax.Array, targets: jax.Array) -> jax.Array:
        return jnp.mean(jnp.square(values - targets)) / jnp.mean(jnp.square(targets))

    found = maps(image)
    contents = [relative(found[i], target) for i, target in zip(CONTENT_MAPS, content, strict=True)]
    styles = [relative(gram_matrix(found[i]), target) for i, target in zip(STYLE_MAPS, style, strict=True)]
    down, across = jnp.diff(image, axis=1), jnp.diff(image, axis=2)
    smoothness = jnp.mean(jnp.square(down)) + jnp.mean(jnp.square(across))
    return Losses(sum(contents) / len(contents), sum(styles) / len(styles), smoothness)


def stylise(
    content: jax.Array,
    style: jax.Array,
    *,
    steps: int = 200,
    weights: Weights = WEIGHTS,
    learning_rate: float = 0.05,
    progress: Callable[[int, Losses], None] | None = None,
    every: int = 20,
) -> tuple[jax.Array, Losses]:
    """(the picture [H, W, 3], its losses): `content` drawn in the manner of `style`, each [H, W, 3] in [-1, 1].

    Adam on the pixels, which begin as those of `content` and stay in [-1, 1].

    Args:
      progress: called with the number of steps taken and the losses, `every` so many.
    """
    variables, maps_of = efficientnet_maps()

    @jax.jit
    def targets(variables: Any, content: jax.Array, style: jax.Array) -> tuple[list[jax.Array], list[jax.Array]]:
        of_content, of_style = maps_of(variables, content), maps_of(variables, style)
        return [of_content[i] for i in CONTENT_MAPS], [gram_matrix(of_style[i]) for i in STYLE_MAPS]

    optimiser = optax.adam(optax.cosine_decay_schedule(learning_rate, steps))

    @jax.jit
    def advance(carry: Any, variables: Any, targets: Any, count: jax.Array) -> tuple[Any, Losses]:
        def total(image: jax.Array) -> tuple[jax.Array, Losses]:
            losses = style_losses(image, *targets, lambda image: maps_of(variables, image))
            return sum(weight * loss for weight, loss in zip(weights, losses, strict=True)), losses

        def step(_: jax.Array, carry: Any) -> Any:
            image, state = carry
            updates, state = optimiser.update(jax.grad(total, has_aux=True)(image)[0], state)
            return jnp.clip(optax.apply_updates(image, updates), -1.0, 1.0), state

        carry = jax.lax.fori_loop(0, count, step, carry)
        return carry, total(carry[0])[1]

    fixed = targets(variables, content[None], style[None])
    carry = content[None], optimiser.init(content[None])
    for start in range(0, steps, every):
        count = min(every, steps - start)
        carry, losses = advance(carry, variables, fixed, count)
        if progress is not None:
            progress(start + count, losses)
    return carry[0][0], losses
