"""Projection of an image into the styles of a StyleGAN2 (Karras et al. 2020, arXiv:1912.04958, appendix D)."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, cast

import jax
import jax.numpy as jnp
import optax

from jaxgen.core.per_example import row_means
from jaxgen.core.state import TrainState
from jaxgen.core.types import Variables
from jaxgen.metrics.extractors import efficientnet_maps
from jaxgen.models.image_to_image.stylization import relative_distance
from jaxgen.networks.layers.resampling import average_pool

Found = tuple[jax.Array, Sequence[jax.Array]]
"""Styles, and the noise of each layer."""
Synthesis = Callable[[TrainState, jax.Array, Sequence[jax.Array]], jax.Array]
"""(state, styles [1, N, S], noise) -> images [1, H, W, C]."""
Carry = tuple[Found, optax.OptState]
Distance = Callable[[Variables, jax.Array, jax.Array], jax.Array]
"""(variables, images [B, H, W, C], the target [H, W, C]) -> distances [B]."""
SMALLEST_REGULARIZED = 8
"""Smallest size of noise maps that are regularized; larger maps are halved down to this size."""
RAMP_UP, RAMP_DOWN = 0.05, 0.25
"""Fractions of the steps over which the learning rate rises from 0 and falls to 0."""
SPREAD, SPREAD_UNTIL = 0.05, 0.75
"""Initial scale of the random moves of styles, in spreads of all styles, and the fraction of steps that they take."""


class Projection(NamedTuple):
    """The result of a projection."""

    styles: jax.Array
    """[N, S]."""
    noise: list[jax.Array]
    """Noise [1, h, w, 1] of each layer."""
    distance: jax.Array
    """[]."""


def pixel_distance() -> tuple[Variables, Distance]:
    """Return (no variables, the mean squared difference of pixels in [-1, 1])."""
    return {}, lambda variables, images, target: row_means(jnp.square(images - target))


def feature_distance() -> tuple[Variables, Distance]:
    """Return (variables, the squared difference of EfficientNet-Lite0's feature maps at the image's own size).

    It is divided by the mean square of the target's maps and averaged over all maps, from the stem to the last stage.
    """
    variables, maps = efficientnet_maps()

    def distance(variables: Variables, images: jax.Array, target: jax.Array) -> jax.Array:
        return relative_distance(maps(variables, images), maps(variables, target[None]))

    return variables, distance


def noise_correlation(noise: Sequence[jax.Array]) -> jax.Array:
    """Return the correlation of neighbors in noise maps, a penalty that keeps the image from being written into them.

    It is the sum over maps and their halvings (2x2 means, times 2) of

        P (E[n(x, y) n(x - 1, y)]^2 + E[n(x, y) n(x, y - 1)]^2)

    with P the number of places: about 2 for each map of white noise (eq. 10, but for the factor P, by which maps of all
    sizes weigh the same).

    Args:
      noise: [1, h, w, 1] each.
    """
    total = jnp.zeros(())
    for values in noise:
        while values.shape[1] >= SMALLEST_REGULARIZED:
            products = [jnp.mean(values * jnp.roll(values, 1, axis)) for axis in (1, 2)]
            total += values.size * sum(jnp.square(product) for product in products)
            values = 2.0 * average_pool(values)
    return total


def normalized_noise(noise: Sequence[jax.Array]) -> list[jax.Array]:
    """Return each map with mean 0 and variance 1."""
    return [(values - values.mean()) / jnp.maximum(values.std(), 1e-8) for values in noise]


def project_image(
    synthesize: Synthesis,
    state: TrainState,
    target: jax.Array,
    *,
    average: jax.Array,
    spread: jax.Array,
    noise: Sequence[jax.Array],
    layers: int,
    key: jax.Array,
    distance: tuple[Variables, Distance],
    space: Literal["w", "w+"] = "w",
    steps: int = 1_000,
    learning_rate: float = 0.1,
    move_noise: bool = True,
    noise_weight: float = 0.01,
    progress: Callable[[int, jax.Array], None] | None = None,
    every: int = 100,
) -> Projection:
    """Return styles and noise whose image is near `target` [H, W, C] in [-1, 1], by Adam from the average style.

    Args:
      synthesize: (state, styles [1, N, S], noise) -> images [1, H, W, C].
      average: the average style [S].
      spread: the root mean squared distance [] of styles from the average.
      noise: the initial noise, [1, h, w, 1] for each map.
      layers: N, the number of styles.
      key: key of the random moves of styles in the first steps.
      distance: the distance to minimize, with its variables: `pixel_distance()` or `feature_distance()`.
      space: "w": one style for all layers; "w+": one for each, which comes nearer but can be mixed less well.
      move_noise: whether the noise is optimized too, as in the paper; otherwise it stays as it is. (At 32x32 the noise
        has more numbers than the image, which may then be written into it for any styles.)
      noise_weight: weight of `noise_correlation`.
      progress: called with the number of steps taken and the distance, every `every` steps.
    """
    variables, measure = distance
    search = _Search(
        synthesize,
        measure,
        optax.adam(_schedule(steps, learning_rate)),
        layers=layers,
        steps=steps,
        key=key,
        spread=spread,
        move_noise=move_noise,
        noise_weight=noise_weight,
    )
    advance = jax.jit(functools.partial(_advance, search))
    style = average[None] if space == "w" else jnp.repeat(average[None], layers, 0)
    found = style, [jnp.asarray(values) for values in noise]
    carry = found, search.optimizer.init(found)
    apart = jnp.zeros(())
    for start in range(0, steps, every):
        count = min(every, steps - start)
        carry, apart = advance(carry, variables, state, target, jnp.int32(start), jnp.int32(count))
        if progress is not None:
            progress(start + count, apart)
    style, noise = carry[0]
    return Projection(_of_all_layers(search, style)[0], noise, apart)


@dataclass(frozen=True)
class _Search:
    """The constants of `project_image`'s steps, which are its arguments."""

    synthesize: Synthesis
    measure: Distance
    optimizer: optax.GradientTransformation
    layers: int
    steps: int
    key: jax.Array
    spread: jax.Array
    move_noise: bool
    noise_weight: float


def _schedule(steps: int, learning_rate: float) -> optax.Schedule:
    rise, fall = int(RAMP_UP * steps), max(1, int(RAMP_DOWN * steps))
    return optax.join_schedules(
        [
            optax.linear_schedule(0.0, learning_rate, max(1, rise)),
            optax.constant_schedule(learning_rate),
            optax.cosine_decay_schedule(learning_rate, fall),
        ],
        [rise, int((1.0 - RAMP_DOWN) * steps)],
    )


def _advance(
    search: _Search,
    carry: Carry,
    variables: Variables,
    state: TrainState,
    target: jax.Array,
    start: jax.Array,
    count: jax.Array,
) -> tuple[Carry, jax.Array]:
    """Take `count` steps from step `start` on; also return the distance after them."""
    step = functools.partial(_step, search, variables, state, target)
    carry = jax.lax.fori_loop(start, start + count, step, carry)
    style, noise = carry[0]
    return carry, _distance_of(search, variables, state, target, style, noise)


def _step(
    search: _Search, variables: Variables, state: TrainState, target: jax.Array, i: jax.Array, carry: Carry
) -> Carry:
    (style, fixed), optimizer_state = carry
    left = jnp.maximum(0.0, 1.0 - i / search.steps / SPREAD_UNTIL)
    chance = jax.random.normal(jax.random.fold_in(search.key, i), style.shape)
    moved = chance * SPREAD * search.spread * jnp.square(left)

    def loss(found: Found) -> jax.Array:
        style, noise = found if search.move_noise else (found[0], fixed)
        apart = _distance_of(search, variables, state, target, style + moved, noise)
        return apart + search.noise_weight * noise_correlation(noise)

    updates, optimizer_state = search.optimizer.update(jax.grad(loss)((style, fixed)), optimizer_state)
    style, noise = cast(Found, optax.apply_updates((style, fixed), updates))
    return (style, normalized_noise(noise) if search.move_noise else fixed), optimizer_state


def _distance_of(
    search: _Search,
    variables: Variables,
    state: TrainState,
    target: jax.Array,
    style: jax.Array,
    noise: Sequence[jax.Array],
) -> jax.Array:
    images = search.synthesize(state, _of_all_layers(search, style), noise)
    return search.measure(variables, images, target)[0]


def _of_all_layers(search: _Search, style: jax.Array) -> jax.Array:
    """Broadcast styles [1 or N, S] to [1, N, S]."""
    return jnp.broadcast_to(style, (search.layers, style.shape[-1]))[None]
