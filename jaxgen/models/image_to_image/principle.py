"""Models from one image to another, learned from pairs, with and without a discriminator (pix2pix, SRGAN)."""

from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from jaxgen.core.model import GenerativeModel, ImageMapping
from jaxgen.core.per_example import row_means, rows, total
from jaxgen.core.state import TrainState, averaged_params, create_state, sum_and_count, update, update_average
from jaxgen.core.types import Batch, Key, Metrics, ModelState, Params, Variables, present
from jaxgen.metrics.restoration import psnr, ssim
from jaxgen.models.image_to_image.degradations import Degraded, as_bytes, luma
from jaxgen.models.image_to_image.spec import ImageToImage, Pair
from jaxgen.models.variables import apply_network, init_network


class Losses(NamedTuple):
    """The losses of both networks."""

    generator: dict[str, jax.Array]
    """The parts of the generator's loss, [B] each."""
    discriminator: jax.Array
    """The discriminator's loss [B]; 0 without a discriminator."""


class Forward(NamedTuple):
    """The results of a forward pass besides the losses."""

    outputs: jax.Array
    """[B, H, W, C]."""
    model_state: ModelState
    logits: tuple[jax.Array, jax.Array] | None
    """Logits of targets and of outputs, [B, patches] each; None without a discriminator."""


def init(spec: ImageToImage, key: Key, batch: Batch) -> TrainState:
    """Return the state at step 0."""
    run_key, pair_key, *network_keys = jax.random.split(key, 4)
    pair = spec.pair_of(batch, pair_key, train=False)
    inputs = {"generator": pair.source.given, "discriminator": _beside(pair.target, pair.source)}
    params, model_state = {}, {}
    for (name, network), network_key in zip(spec.networks.items(), network_keys, strict=False):
        params[name], model_state[name] = init_network(network, network_key, inputs[name])
    if spec.perceptual_loss is not None:  # copied, since donated buffers belong to no other array
        model_state["frozen"] = jax.tree.map(jnp.copy, spec.perceptual_loss.load())
    averaged = () if spec.ema_decay is None else ("generator",)
    return create_state(run_key, params, spec.optimizers, model_state=model_state, averaged=averaged)


def train_step(spec: ImageToImage, state: TrainState, batch: Batch, key: Key) -> tuple[TrainState, Metrics]:
    """Take one optimizer step of each network on its own loss, all from one forward pass."""
    pair = spec.pair_of(batch, key, train=True)
    found, losses_vjp, forward = jax.vjp(
        lambda params: losses(spec, params, state.model_state, pair, train=True), state.params, has_aux=True
    )
    zero = jax.tree.map(jnp.zeros_like, found)
    one = jax.tree.map(lambda values: jnp.full_like(values, 1.0 / len(values)), found)
    cotangents = {"generator": zero._replace(generator=one.generator)}
    if spec.adversary is not None:
        cotangents["discriminator"] = zero._replace(discriminator=one.discriminator)
    after = state
    for name, cotangent in cotangents.items():
        after = update(after, name, losses_vjp(cotangent)[0][name], spec.optimizers[name])
    if spec.ema_decay is not None:
        after = update_average(after, "generator", spec.ema_decay)
    return after.replace(step=state.step + 1, model_state=forward.model_state), _metrics(spec, found, forward)


def eval_step(spec: ImageToImage, state: TrainState, batch: Batch, key: Key) -> Metrics:
    """Return the metrics of held-out examples, with the averaged parameters."""
    pair = spec.pair_of(batch, key, train=False)
    params = {**state.params, "generator": averaged_params(state, "generator")}
    found, forward = losses(spec, params, state.model_state, pair, train=False)
    scores = {}
    for name, images in (("generator", forward.outputs), ("baseline", pair.source.baseline)):
        of_images = restoration_scores(images, pair.target, spec.border)
        # A mean of many images is infinite if one is perfect: it counts as 100 dB.
        scores |= {f"{name}/{metric}": jnp.minimum(values, 100.0) for metric, values in of_images.items()}
    return _metrics(spec, found, forward) | {name: sum_and_count(values) for name, values in scores.items()}


def losses(
    spec: ImageToImage, params: Params, model_state: ModelState, pair: Pair, *, train: bool
) -> tuple[Losses, Forward]:
    """Return the losses of a batch, and the other results of its forward pass."""
    outputs, generator_state = _generate(spec, params["generator"], model_state, pair.source, train=train)
    updated, logits = {**model_state, "generator": generator_state}, None
    terms, discriminator_loss = {"content": spec.content_loss(outputs, pair.target)}, jnp.zeros(len(outputs))
    if spec.perceptual_loss is not None:
        terms["features"] = _feature_distance(spec, model_state["frozen"], outputs, pair.target)
    if spec.adversary is not None:
        found = []
        for images in (pair.target, outputs):  # one after another, for batch norm's running averages
            patches, updated["discriminator"] = _patch_logits(
                spec, params["discriminator"], updated, images, pair.source, train=train
            )
            found.append(patches)
        real, generated = logits = found[0], found[1]
        loss = present(spec.adversarial_loss)
        terms["adversarial"] = spec.adversary.weight * jnp.mean(loss.generator(real, generated), 1)
        discriminator_loss = jnp.mean(loss.discriminator(real, generated), 1)
    return Losses(terms, discriminator_loss), Forward(outputs, updated, logits)


# ---------------------------------------------------------------- use


def apply(spec: ImageToImage, state: TrainState, given: jax.Array) -> jax.Array:
    """Return the images [B, H, W, C] in [-1, 1] that the network makes of `given` [B, h, w, C']."""
    return _applied(spec, state, spec.of_given(given))


def baseline(spec: ImageToImage, given: jax.Array) -> jax.Array:
    """Return the images [B, H, W, C] that are made of `given` [B, h, w, C'] without the network."""
    return spec.of_given(given).baseline


def compare(spec: ImageToImage, state: TrainState, key: Key, batch: Batch) -> jax.Array:
    """Return the baseline, the output and the target of each example, [B, 3, H, W, C]."""
    pair = spec.pair_of(batch, key, train=False)
    return jnp.stack([pair.source.baseline, _applied(spec, state, pair.source), pair.target], 1)


def discriminate(spec: ImageToImage, state: TrainState, images: jax.Array, baselines: jax.Array) -> jax.Array:
    """Return the logits [B] of the discriminator, for images beside their baselines, as means over patches."""
    source, params = Degraded(baselines, baselines), state.params["discriminator"]
    return jnp.mean(_patch_logits(spec, params, state.model_state, images, source, train=False)[0], 1)


def bind(spec: ImageToImage, verb: Literal["restore", "translate"], **mapping: Any) -> GenerativeModel:
    """Return the model of a spec, with `mapping` as further fields of its mapping of images."""
    return GenerativeModel(
        partial(init, spec),
        partial(train_step, spec),
        partial(eval_step, spec),
        mapping=ImageMapping(
            verb, partial(apply, spec), partial(compare, spec), baseline=partial(baseline, spec), **mapping
        ),
        discriminate=None if spec.adversary is None else partial(discriminate, spec),
    )


def restoration_scores(images: jax.Array, targets: jax.Array, border: int) -> dict[str, jax.Array]:
    """Return PSNR of all channels, PSNR of the luma, and SSIM, [B] each, in 256 levels and without the border.

    PSNR is infinite for images that equal their targets.

    Args:
      images: [B, H, W, C] in [-1, 1].
      targets: [B, H, W, C] in [-1, 1].
      border: number of pixels left out at each side.
    """
    inner = slice(border, -border or None)
    images, targets = (as_bytes(x)[:, inner, inner] for x in (images, targets))
    return {
        "psnr": psnr(images, targets, max_value=255.0),
        "psnr_y": psnr(luma(images), luma(targets), max_value=255.0),
        "ssim": ssim(images, targets, max_value=255.0),
    }


# ---------------------------------------------------------------- parts


def _generate(
    spec: ImageToImage, params: Params, model_state: ModelState, source: Degraded, *, train: bool
) -> tuple[jax.Array, ModelState]:
    """Return the outputs [B, H, W, C], and the network's model state."""
    outputs, updated = apply_network(spec.network, params, model_state["generator"], source.given, train=train)
    if spec.residual:
        outputs = source.baseline + outputs
    if source.known is not None:
        outputs = jnp.where(source.known > 0, source.baseline, outputs)
    return outputs, updated


def _patch_logits(
    spec: ImageToImage, params: Params, model_state: ModelState, images: jax.Array, source: Degraded, *, train: bool
) -> tuple[jax.Array, ModelState]:
    """Return the discriminator's logits [B, patches], and its model state."""
    network, both = present(spec.adversary).network, _beside(images, source)
    logits, updated = apply_network(network, params, model_state["discriminator"], both, train=train)
    return rows(logits), updated


def _feature_distance(spec: ImageToImage, arrays: Variables, outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Return the weighted distance of features, [B]."""
    perceptual = present(spec.perceptual_loss)
    both = [perceptual.features(arrays, images) for images in (outputs, targets)]
    distances = [row_means(jnp.square(rows(a) - rows(b))) for a, b in zip(*both, strict=True)]
    return perceptual.weight * total(distances)


def _metrics(spec: ImageToImage, found: Losses, forward: Forward) -> Metrics:
    metrics = {f"generator/{name}": sum_and_count(values) for name, values in found.generator.items()}
    metrics["generator/loss"] = sum_and_count(total(found.generator.values()))
    if forward.logits is not None:
        (real, generated), boundary = forward.logits, present(spec.adversarial_loss).boundary
        metrics["discriminator/loss"] = sum_and_count(found.discriminator)
        for name, right in (("real", real > boundary), ("generated", generated < boundary)):
            metrics[f"discriminator/accuracy_{name}"] = sum_and_count(jnp.mean(right.astype(jnp.float32), 1))
    return metrics


def _applied(spec: ImageToImage, state: TrainState, source: Degraded) -> jax.Array:
    outputs, _ = _generate(spec, averaged_params(state, "generator"), state.model_state, source, train=False)
    return jnp.clip(outputs, -1.0, 1.0)


def _beside(images: jax.Array, source: Degraded) -> jax.Array:
    """Return images beside their baselines, [B, H, W, 2 C]."""
    return jnp.concatenate([images, source.baseline], -1)
