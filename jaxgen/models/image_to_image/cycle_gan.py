"""CycleGAN: translation between two collections of images without pairs (Zhu et al. 2017, arXiv:1703.10593)."""

from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import Literal, NamedTuple, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxgen.core.keys import example_keys
from jaxgen.core.model import GenerativeModel, ImageMapping, ModelSpec
from jaxgen.core.per_example import rows, total
from jaxgen.core.state import TrainState, averaged_params, create_state, sum_and_count, update, update_average
from jaxgen.core.types import Batch, Key, Metrics, Params
from jaxgen.metrics.restoration import l1, ssim
from jaxgen.models.augmentation import jitter
from jaxgen.models.gan.losses import LOSSES
from jaxgen.models.image_to_image.degradations import as_bytes
from jaxgen.models.image_to_image.image_buffer import empty_buffer, exchange
from jaxgen.models.variables import apply_network, init_network

Side = Literal["source", "target"]
Images = dict[Side, jax.Array]
"""[B, H, W, C] of each side."""
SIDES: tuple[Side, Side] = ("source", "target")
OTHER: dict[Side, Side] = {"source": "target", "target": "source"}
GENERATORS: dict[Side, str] = {"target": "to_target", "source": "to_source"}
DISCRIMINATORS: dict[Side, str] = {"target": "judge_of_target", "source": "judge_of_source"}
LOSS = LOSSES["least_squares"]


class Terms(NamedTuple):
    """The parts of the generators' loss, [B] each, sums over both directions."""

    adversarial: jax.Array
    cycle: jax.Array
    identity: jax.Array


@dataclass(frozen=True)
class CycleGAN(ModelSpec):
    """Two generators, G from sources to targets and F back, each with a discriminator.

    Batches have `source` and `image`, the target, [B, H, W, C] in [-1, 1] each.

    The generators' loss of an example, with the discriminators D_X of sources and D_Y of targets (eqs. 1 to 3, with the
    least squares of section 4 and the identity terms of section 5.2):

        (D_Y(G(x)) - 1)^2 + (D_X(F(y)) - 1)^2 + c (|F(G(x)) - x| + |G(F(y)) - y|) + i (|G(y) - y| + |F(x) - x|)

    A discriminator's loss is 1/2 (D(real) - 1)^2 + 1/2 D(generated)^2, where half of the generated images come from a
    buffer of earlier ones (`image_buffer`), which is part of the state. All networks step at once.

    Metrics: `generator/loss` and its parts `generator/adversarial`, `generator/cycle`, `generator/identity`;
    `discriminator/loss`; on evaluation, as if source and target were pairs, `generator/l1` (of [-1, 1]) and
    `generator/ssim` of G(x) and y, the same of `baseline/`, x itself and y, and `generator/l1_back` and
    `generator/ssim_back` of F(y) and x.

    There is no `sample`: images come from images.
    """

    generator: nn.Module
    """`generator(images, train=...) -> images`, the architecture of both G and F."""
    discriminator: nn.Module
    """`discriminator(images, train=...) -> logits [B, ...]`, the architecture of both D_X and D_Y."""
    _: KW_ONLY
    generator_optimizer: optax.GradientTransformation
    discriminator_optimizer: optax.GradientTransformation
    cycle_weight: float = 10.0
    """c."""
    identity_weight: float = 5.0
    """i."""
    weight_rise_steps: int = 0
    """c and i begin at a tenth of the two weights and rise to them over this many steps, each by the same factor, so
    that generators that begin as the identity (`ResNetTranslator`'s `residual`) leave it. 0: they are the weights from
    the start, as in the paper."""
    buffer_size: int = 50
    """Number of images of each side in the buffer; 0: no buffer."""
    shift: int = 0
    """In training, each image is shifted by up to this many pixels (`jaxgen.models.augmentation.jitter`)."""
    mirror: bool = False
    """Whether each image is mirrored at random in training."""
    ema_decay: float | None = None
    """Decay of the moving average of the generators that evaluation and translation use; None: no average."""

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The networks, by the names of their parameters."""
        generators = dict.fromkeys(GENERATORS.values(), self.generator)
        return generators | dict.fromkeys(DISCRIMINATORS.values(), self.discriminator)

    @property
    def optimizers(self) -> dict[str, optax.GradientTransformation]:
        """The optimizers, by the names of the networks."""
        generators = dict.fromkeys(GENERATORS.values(), self.generator_optimizer)
        return generators | dict.fromkeys(DISCRIMINATORS.values(), self.discriminator_optimizer)

    def model(self) -> GenerativeModel:
        return model(self)


def init(cycle_gan: CycleGAN, key: Key, batch: Batch) -> TrainState:
    """Return the state at step 0."""
    networks, images = cycle_gan.networks, batch["image"]
    run_key, *network_keys = jax.random.split(key, 1 + len(networks))
    params, model_state = {}, {}
    for (name, network), network_key in zip(networks.items(), network_keys, strict=True):
        params[name], model_state[name] = init_network(network, network_key, images)
    if cycle_gan.buffer_size:
        model_state["buffer"] = {side: empty_buffer(cycle_gan.buffer_size, images.shape[1:]) for side in SIDES}
    averaged = () if cycle_gan.ema_decay is None else tuple(GENERATORS.values())
    return create_state(run_key, params, cycle_gan.optimizers, model_state=model_state, averaged=averaged)


def train_step(cycle_gan: CycleGAN, state: TrainState, batch: Batch, key: Key) -> tuple[TrainState, Metrics]:
    """Take one optimizer step of each network on its own loss."""
    *side_keys, jitter_key = jax.random.split(key, 3)
    real = _jittered(cycle_gan, batch, jitter_key)
    discriminators = {name: state.params[name] for name in DISCRIMINATORS.values()}

    def mean_loss(params: Params) -> tuple[jax.Array, tuple[Terms, Images]]:
        terms, generated = generator_terms(cycle_gan, params, discriminators, real, train=True)
        return jnp.mean(generator_loss(cycle_gan, terms, state.step)), (terms, generated)

    generators = {name: state.params[name] for name in GENERATORS.values()}
    grads, (terms, generated) = jax.grad(mean_loss, has_aux=True)(generators)
    after, model_state = state, state.model_state
    for name in GENERATORS.values():
        after = update(after, name, grads[name], cycle_gan.optimizers[name])
        if cycle_gan.ema_decay is not None:
            after = update_average(after, name, cycle_gan.ema_decay)
    losses, buffers = 0.0, {}
    for side, side_key in zip(SIDES, side_keys, strict=True):
        name, shown = DISCRIMINATORS[side], jax.lax.stop_gradient(generated[side])
        if cycle_gan.buffer_size:
            buffers[side], shown = exchange(model_state["buffer"][side], side_key, shown)
        grads, values = _discriminator_grads(cycle_gan, state.params[name], name, real[side], shown)
        after, losses = update(after, name, grads, cycle_gan.optimizers[name]), losses + 0.5 * values
    if cycle_gan.buffer_size:
        model_state = {**model_state, "buffer": buffers}
    return after.replace(step=state.step + 1, model_state=model_state), _metrics(
        cycle_gan, terms, cast(jax.Array, losses), state.step
    )


def eval_step(cycle_gan: CycleGAN, state: TrainState, batch: Batch, key: Key) -> Metrics:
    """Return the metrics of held-out examples, with the averaged generators."""
    del key
    real = _images_of(batch)
    params = {name: averaged_params(state, name) for name in GENERATORS.values()}
    terms, generated = generator_terms(cycle_gan, params, state.params, real, train=False)
    losses = total(
        0.5 * discriminator_loss(cycle_gan, state.params[name], name, real[side], generated[side], train=False)
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
    return _metrics(cycle_gan, terms, losses, state.step) | scores


# ---------------------------------------------------------------- losses


def generator_terms(
    cycle_gan: CycleGAN, params: Params, discriminators: Params, real: Images, *, train: bool
) -> tuple[Terms, Images]:
    """Return the terms of the generators' loss, and the generated images of each side.

    Args:
      params: parameters of the generators, by name.
      discriminators: parameters of the discriminators, by name.
    """

    def to(side: Side, images: jax.Array) -> jax.Array:
        return _apply(cycle_gan, params[GENERATORS[side]], GENERATORS[side], images, train=train)

    generated: Images = {side: to(side, real[OTHER[side]]) for side in SIDES}
    adversarial = cycle = identity = 0.0
    for side in SIDES:
        name = DISCRIMINATORS[side]
        logits = rows(_apply(cycle_gan, discriminators[name], name, generated[side], train=train))
        adversarial += 2.0 * jnp.mean(LOSS.generator(logits, logits), 1)  # the paper's has no half
        cycle += l1(to(OTHER[side], generated[side]), real[OTHER[side]])
        if cycle_gan.identity_weight:
            identity += l1(to(side, real[side]), real[side])
    identity = identity if cycle_gan.identity_weight else jnp.zeros_like(cycle)
    terms = Terms(*cast(tuple[jax.Array, jax.Array, jax.Array], (adversarial, cycle, identity)))
    return terms, generated


def generator_loss(cycle_gan: CycleGAN, terms: Terms, step: jax.Array) -> jax.Array:
    """Return the generators' loss [B] at a step."""
    kept = cycle_gan.cycle_weight * terms.cycle + cycle_gan.identity_weight * terms.identity
    if cycle_gan.weight_rise_steps:
        kept = kept * 10.0 ** (jnp.minimum(step / cycle_gan.weight_rise_steps, 1.0) - 1.0)
    return terms.adversarial + kept


def discriminator_loss(
    cycle_gan: CycleGAN, params: Params, name: str, real: jax.Array, generated: jax.Array, *, train: bool
) -> jax.Array:
    """Return the loss [B] of the discriminator of this name, twice the paper's."""
    logits = [rows(_apply(cycle_gan, params, name, images, train=train)) for images in (real, generated)]
    return jnp.mean(LOSS.discriminator(*logits), 1)


# ---------------------------------------------------------------- use


def translate(cycle_gan: CycleGAN, state: TrainState, images: jax.Array) -> jax.Array:
    """Translate sources [B, H, W, C] to targets by G, in [-1, 1]."""
    return _translated(cycle_gan, state, "target", images)


def translate_back(cycle_gan: CycleGAN, state: TrainState, images: jax.Array) -> jax.Array:
    """Translate targets [B, H, W, C] to sources by F, in [-1, 1]."""
    return _translated(cycle_gan, state, "source", images)


def compare(cycle_gan: CycleGAN, state: TrainState, key: Key, batch: Batch) -> jax.Array:
    """Return x, G(x), y and F(y) of each example, [B, 4, H, W, C]."""
    del key
    source, target = batch["source"], batch["image"]
    there, back = translate(cycle_gan, state, source), translate_back(cycle_gan, state, target)
    return jnp.stack([source, there, target, back], 1)


def model(cycle_gan: CycleGAN) -> GenerativeModel:
    """Return the model of a spec."""
    return GenerativeModel(
        partial(init, cycle_gan),
        partial(train_step, cycle_gan),
        partial(eval_step, cycle_gan),
        mapping=ImageMapping(
            "translate", partial(translate, cycle_gan), partial(compare, cycle_gan), partial(translate_back, cycle_gan)
        ),
    )


# ---------------------------------------------------------------- parts


def _apply(cycle_gan: CycleGAN, params: Params, name: str, images: jax.Array, *, train: bool) -> jax.Array:
    # Networks of this model have no state of their own: instance norm needs none.
    return apply_network(cycle_gan.networks[name], params, {}, images, train=train)[0]


def _translated(cycle_gan: CycleGAN, state: TrainState, side: Side, images: jax.Array) -> jax.Array:
    name = GENERATORS[side]
    return jnp.clip(_apply(cycle_gan, averaged_params(state, name), name, images, train=False), -1.0, 1.0)


def _images_of(batch: Batch) -> Images:
    return {"source": batch["source"], "target": batch["image"]}


def _jittered(cycle_gan: CycleGAN, batch: Batch, key: Key) -> Images:
    real = _images_of(batch)
    for side, side_key in zip(SIDES, jax.random.split(key), strict=True):
        keys = example_keys(side_key, batch["index"])
        real[side] = jitter(real[side], keys, pixels=cycle_gan.shift, mirror=cycle_gan.mirror)
    return real


def _discriminator_grads(
    cycle_gan: CycleGAN, params: Params, name: str, real: jax.Array, generated: jax.Array
) -> tuple[Params, jax.Array]:
    """Return the gradient of a discriminator's mean loss, and the losses [B]."""

    def mean_loss(params: Params) -> tuple[jax.Array, jax.Array]:
        values = discriminator_loss(cycle_gan, params, name, real, generated, train=True)
        return jnp.mean(values), values

    return jax.grad(mean_loss, has_aux=True)(params)


def _metrics(cycle_gan: CycleGAN, terms: Terms, discriminator_losses: jax.Array, step: jax.Array) -> Metrics:
    metrics = {f"generator/{name}": sum_and_count(values) for name, values in terms._asdict().items()}
    metrics["generator/loss"] = sum_and_count(generator_loss(cycle_gan, terms, step))
    return metrics | {"discriminator/loss": sum_and_count(discriminator_losses)}
