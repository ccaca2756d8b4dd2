"""Neural style transfer by gradient descent on the pixels (Gatys et al. 2016): any style, some minutes per picture.

`jaxgen.models.image_to_image.stylization` has the loss, and the network that transfers one style in a single pass.
"""

import functools
from collections.abc import Callable
from typing import cast

import jax
import jax.numpy as jnp
import optax

from jaxgen.core.errors import UserError
from jaxgen.core.types import Variables
from jaxgen.metrics.extractors import FeatureMaps, efficientnet_maps
from jaxgen.models.image_to_image.stylization import WEIGHTS, Losses, Weights, content_of, style_losses, style_of

Carry = tuple[jax.Array, optax.OptState]
"""The picture [1, H, W, 3], and the optimizer's state."""
Targets = tuple[list[jax.Array], list[jax.Array]]
"""The features of the content and of the style that are to be matched."""


def stylize_image(
    content: jax.Array,
    style: jax.Array,
    *,
    steps: int = 200,
    weights: Weights = WEIGHTS,
    learning_rate: float = 0.05,
    progress: Callable[[int, Losses], None] | None = None,
    every: int = 20,
) -> tuple[jax.Array, Losses]:
    """Return (the picture [H, W, 3], its losses): `content` drawn in the style of `style`, each [H, W, 3] in [-1, 1].

    Adam moves the pixels, which begin as those of `content` and stay in [-1, 1]. The loss compares feature maps of the
    EfficientNet-Lite0 that is part of the package.

    Args:
      progress: called with the number of steps taken and the losses, each [], every `every` steps.

    Raises:
      UserError: fewer than 1 step.
    """
    variables, maps_of = efficientnet_maps()
    targets = jax.jit(functools.partial(_targets, maps_of))(variables, content[None], style[None])
    optimizer = optax.adam(optax.cosine_decay_schedule(learning_rate, steps))
    advance = jax.jit(functools.partial(_advance, maps_of, optimizer, weights))
    carry, losses = (content[None], optimizer.init(content[None])), None
    for start in range(0, steps, every):
        count = min(every, steps - start)
        carry, losses = advance(carry, variables, targets, count)
        if progress is not None:
            progress(start + count, losses)
    if losses is None:
        raise UserError(f"A picture is drawn in at least 1 step, not {steps}.")
    return carry[0][0], losses


def _targets(maps_of: FeatureMaps, variables: Variables, content: jax.Array, style: jax.Array) -> Targets:
    return content_of(maps_of(variables, content)), style_of(maps_of(variables, style))


def _advance(
    maps_of: FeatureMaps,
    optimizer: optax.GradientTransformation,
    weights: Weights,
    carry: Carry,
    variables: Variables,
    targets: Targets,
    count: jax.Array,
) -> tuple[Carry, Losses]:
    """Take `count` steps; also return the losses after them."""

    def total(image: jax.Array) -> tuple[jax.Array, Losses]:
        losses = style_losses(image, maps_of(variables, image), *targets)
        losses = Losses(*(values[0] for values in losses))
        return losses.total(weights), losses

    def step(_: jax.Array, carry: Carry) -> Carry:
        image, state = carry
        updates, state = optimizer.update(jax.grad(total, has_aux=True)(image)[0], state)
        return jnp.clip(cast(jax.Array, optax.apply_updates(image, updates)), -1.0, 1.0), state

    carry = jax.lax.fori_loop(0, count, step, carry)
    return carry, total(carry[0])[1]
