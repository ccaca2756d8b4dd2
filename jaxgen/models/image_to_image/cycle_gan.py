"""CycleGAN: translation between two collections of images without pairs (Zhu et al. 2017, arXiv:1703.10593)."""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxgen.core.keys import example_keys
from jaxgen.core.model import GenerativeModel
from jaxgen.core.per_example import rows
from jaxgen.core.state import (
    Batch,
    Key,
    Metrics,
    TrainState,
    averaged_params,
    create_state,
    sum_and_count,
    update,
    update_average,
)
from jaxgen.metrics.restoration import l1, ssim
from jaxgen.models.augmentation import jitter
from jaxgen.models.gan.losses import LOSSES
from jaxgen.models.image_to_image.degradations import as_bytes
from jaxgen.models.image_to_image.image_buffer import empty_buffer, exchange
from jaxgen.models.variables import apply_network, init_network

SIDES = ("source", "target")
GENERATORS = {"target": "to_target", "source": "to_source"}
DISCRIMINATORS = {"target": "judge_of_target", "source": "judge_of_source"}


class Terms(NamedTuple):
    """The parts of the generators' loss, [B] each, sums over both directions."""

    adversarial: jax.Array
    cycle: jax.Array
    identity: jax.Array


def cycle_gan(
    generator: nn.Module,
    discriminator: nn.Module,
    *,
    generator_optimizer: optax.GradientTransformation,
    discriminator_optimizer: optax.GradientTransformation,
    cycle_weight: float = 10.0,
    identity_weight: float = 5.0,
    weight_rise_steps: int = 0,
    buffer_size: int = 50,
    shift: int = 0,
    mirror: bool = False,
    ema_decay: float | None = None,
) -> GenerativeModel:
    """G from sources to targets and F back, on batches with `source` and `image`, the target, [B, H, W, C] in [-1, 1].

    The generators' loss of an example, with the discriminators D_X of sources and D_Y of targets (eqs. 1 to 3, with the
    least squares of section 4 and the identity terms of section 5.2):

        (D_Y(G(x)) - 1)^2 + (D_X(F(y)) - 1)^2 + c (|F(G(x)) - x| + |G(F(y)) - y|) + i (|G(y) - y| + |F(x) - x|)

    and a discriminator's 1/2 (D(real) - 1)^2 + 1/2 D(generated)^2, where half of what is generated comes from a buffer
    of earlier images (`image_buffer`), which is part of the state. All networks step at once.

    Args:
      generator: `generator(images, train=...) -> images`; there are two of it.
      discriminator: `discriminator(images, train=...) -> logits [B, ...]`; there are two of it.
      weight_rise_steps: c and i are a tenth of the two weights at first, and rise to them over this many steps, each by
        the same factor, so that generators that begin as the identity (`ResNetTranslator`'s `residual`) leave it. 0:
        they are the weights from the start, as in the paper.
      buffer_size: images of each side; 0: no buffer.
      shift, mirror: of each image in training: `jaxgen.models.augmentation.jitter`.
      ema_decay: of the moving average of the generators that evaluation and translation use; None: no average.

    Metrics: `generator/loss` and its parts `generator/adversarial`, `generator/cycle`, `generator/identity`;
    `discriminator/loss`; on evaluation, as if source and target were pairs, `generator/l1` (of [-1, 1]) and
    `generator/ssim` of G(x) and y, the same of `baseline/`, x itself and y, and `generator/l1_back` and
    `generator/ssim_back` of F(y) and x.

    There is no `sample`. `functions`: `translate(state, images) -> images`, `translate_back`; `compare(state, key,
    batch) -> [B, 4, H, W, C]`: x, G(x), y, F(y).
    """
    losses = LOSSES["least_squares"]
    networks = dict.fromkeys(GENERATORS.values(), generator) | dict.fromkeys(DISCRIMINATORS.values(), discriminator)
    optimizers = dict.fromkeys(GENERATORS.values(), generator_optimizer)
    optimizers |= dict.fromkeys(DISCRIMINATORS.values(), discriminator_optimizer)

    def init(key: Key, batch: Batch) -> TrainState:
        run_key, *network_keys = jax.random.split(key, 1 + len(networks))
        params, model_state, images = {}, {}, batch["image"]
        for (name, network), network_key in zip(networks.items(), network_keys, strict=True):
            params[name], model_state[name] = init_network(network, network_key, images)
        if buffer_size:
            model_state["buffer"] = {side: empty_buffer(buffer_size, images.shape[1:]) for side in SIDES}
        averaged = () if ema_decay is None else tuple(GENERATORS.values())
        return create_state(run_key, params, optimizers, model_state=model_state, averaged=averaged)

    def apply(params: Any, name: str, images: jax.Array, *, train: bool) -> jax.Array:
        # Networks of this model have no state of their own: instance norm needs none.
        return apply_network(networks[name], params, {}, images, train=train)[0]

    def images_of(batch: Batch) -> dict[str, jax.Array]:
        return {"source": batch["source"], "target": batch["image"]}

    def generator_terms(
        params: dict[str, Any], judges: dict[str, Any], real: dict[str, jax.Array], *, train: bool
    ) -> tuple[Terms, dict[str, jax.Array]]:
        """The terms, and the generated images of each side."""

        def to(side: str, images: jax.Array) -> jax.Array:
            return apply(params[GENERATORS[side]], GENERATORS[side], images, train=train)

        other = {"source": "target", "target": "source"}
        generated = {side: to(side, real[other[side]]) for side in SIDES}
        adversarial = cycle = identity = 0.0
        for side in SIDES:
            name = DISCRIMINATORS[side]
            logits = rows(apply(judges[name], name, generated[side], train=train))
            adversarial += 2.0 * jnp.mean(losses.generator(logits, logits), 1)  # the paper's has no half
            cycle += l1(to(other[side], generated[side]), real[other[side]])
            if identity_weight:
                identity += l1(to(side, real[side]), real[side])
        terms = Terms(adversarial, cycle, identity if identity_weight else jnp.zeros_like(cycle))
        return terms, generated

    def total(terms: Terms, step: jax.Array) -> jax.Array:
        kept = cycle_weight * terms.cycle + identity_weight * terms.identity
        if weight_rise_steps:
            kept = kept * 10.0 ** (jnp.minimum(step / weight_rise_steps, 1.0) - 1.0)
        return terms.adversarial + kept

    def discriminator_loss(params: Any, name: str, real: jax.Array, generated: jax.Array, *, train: bool) -> jax.Array:
        """[B]."""
        logits = [rows(apply(params, name, images, train=train)) for images in (real, generated)]
        return jnp.mean(losses.discriminator(*logits), 1)

    def train_step(state: TrainState, batch: Batch, key: Key) -> tuple[TrainState, Metrics]:
        real = images_of(batch)
        *side_keys, jitter_key = jax.random.split(key, 3)
        for side, side_key in zip(SIDES, jax.random.split(jitter_key), strict=True):
            keys = example_keys(side_key, batch["index"])
            real[side] = jitter(real[side], keys, pixels=shift, mirror=mirror)
        judges = {name: state.params[name] for name in DISCRIMINATORS.values()}

        def mean_loss(params: dict[str, Any]) -> tuple[jax.Array, Any]:
            terms, generated = generator_terms(params, judges, real, train=True)
            return jnp.mean(total(terms, state.step)), (terms, generated)

        mine = {name: state.params[name] for name in GENERATORS.values()}
        grads, (terms, generated) = jax.grad(mean_loss, has_aux=True)(mine)
        after, model_state = state, state.model_state
        for name in GENERATORS.values():
            after = update(after, name, grads[name], optimizers[name])
            if ema_decay is not None:
                after = update_average(after, name, ema_decay)
        judged, buffers = 0.0, {}
        for side, side_key in zip(SIDES, side_keys, strict=True):
            name, shown = DISCRIMINATORS[side], jax.lax.stop_gradient(generated[side])
            if buffer_size:
                buffers[side], shown = exchange(model_state["buffer"][side], side_key, shown)

            def mean_judged(params: Any, name: str = name, side: str = side, shown: Any = shown) -> Any:
                values = discriminator_loss(params, name, real[side], shown, train=True)
                return jnp.mean(values), values

            grads, values = jax.grad(mean_judged, has_aux=True)(state.params[name])
            after, judged = update(after, name, grads, optimizers[name]), judged + 0.5 * values
        if buffer_size:
            model_state = {**model_state, "buffer": buffers}
        return after.replace(step=state.step + 1, model_state=model_state), metrics_of(terms, judged, state.step)

    def metrics_of(terms: Terms, judged: jax.Array, step: jax.Array) -> Metrics:
        metrics = {f"generator/{name}": sum_and_count(values) for name, values in terms._asdict().items()}
        loss = total(terms, step)
        return metrics | {"generator/loss": sum_and_count(loss), "discriminator/loss": sum_and_count(judged)}

    def eval_step(state: TrainState, batch: Batch, key: Key) -> Metrics:
        del key
        real = images_of(batch)
        params = {name: averaged_params(state, name) for name in GENERATORS.values()}
        terms, generated = generator_terms(params, state.params, real, train=False)
        judged = sum(
            0.5 * discriminator_loss(state.params[name], name, real[side], generated[side], train=False)
            for side, name in DISCRIMINATORS.items()
        )
        scores = {}
        for name, back, images, truth in (
            ("generator", "", generated["target"], real["target"]),
            ("generator", "_back", generated["source"], real["source"]),
            ("baseline", "", real["source"], real["target"]),
        ):
            scores[f"{name}/l1{back}"] = sum_and_count(l1(images, truth))
            scores[f"{name}/ssim{back}"] = sum_and_count(ssim(as_bytes(images), as_bytes(truth), max_value=255.0))
        return metrics_of(terms, judged, state.step) | scores

    # ------------------------------------------------------------ use

    def to(state: TrainState, side: str, images: jax.Array) -> jax.Array:
        name = GENERATORS[side]
        return jnp.clip(apply(averaged_params(state, name), name, images, train=False), -1.0, 1.0)

    def translate(state: TrainState, images: jax.Array) -> jax.Array:
        return to(state, "target", images)

    def translate_back(state: TrainState, images: jax.Array) -> jax.Array:
        return to(state, "source", images)

    def compare(state: TrainState, key: Key, batch: Batch) -> jax.Array:
        del key
        source, target = batch["source"], batch["image"]
        return jnp.stack([source, translate(state, source), target, translate_back(state, target)], 1)

    functions = {"translate": translate, "translate_back": translate_back, "compare": compare}
    return GenerativeModel(init, train_step, eval_step, None, table=functions)
