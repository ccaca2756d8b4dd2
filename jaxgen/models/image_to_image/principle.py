"""From one image to another, learned from pairs, with and without a discriminator (pix2pix, SRGAN)."""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxgen.core.keys import example_keys
from jaxgen.core.model import GenerativeModel
from jaxgen.core.per_example import row_means, rows
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
from jaxgen.metrics.restoration import l1, psnr, ssim
from jaxgen.models.augmentation import jitter
from jaxgen.models.gan.losses import LOSSES
from jaxgen.models.image_to_image.degradations import Degraded, as_bytes, luma
from jaxgen.models.variables import apply_network, init_network

CONTENT_LOSSES: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = {
    "l1": l1,
    "mse": lambda outputs, targets: row_means(jnp.square(rows(outputs) - rows(targets))),
}


class Pair(NamedTuple):
    """What an image is made from, and what it should be."""

    source: Degraded
    target: jax.Array
    """[B, H, W, C] in [-1, 1]."""


class Losses(NamedTuple):
    """What the networks step down."""

    generator: dict[str, jax.Array]
    """The parts of its loss, [B] each."""
    discriminator: jax.Array
    """[B]; 0 without a discriminator."""


class Adversary(NamedTuple):
    """A discriminator of outputs beside what they were made from."""

    network: nn.Module
    """`network(images and baselines [B, H, W, 2 C], train=...) -> logits [B, ...]`, of the image or of its patches."""
    optimizer: optax.GradientTransformation
    loss: str = "non_saturating"
    """A name in `jaxgen.models.gan.losses.LOSSES`."""
    weight: float = 1e-3
    """Of its loss beside the generator's others."""


class Perceiver(NamedTuple):
    """A network, trained before, in whose features images are compared, too (Johnson et al. 2016, arXiv:1603.08155)."""

    load: Callable[[], Any]
    """() -> its arrays, which go to `model_state["frozen"]`."""
    features: Callable[[Any, jax.Array], list[jax.Array]]
    """(arrays, images in [-1, 1]) -> features [B, ...] of some layers."""
    weight: float = 1.0
    """Of the mean squared difference, summed over the layers."""


def translation(network: nn.Module, *, shift: int = 0, mirror: bool = False, **options: Any) -> GenerativeModel:
    """`image_to_image` from `source` to `image` of the same size (pix2pix); the baseline is the source as it is.

    Args:
      shift, mirror: of both images alike, in training: `jaxgen.models.augmentation.jitter`.

    `functions`: `translate(state, images) -> images` in place of `restore`.
    """

    def pair_of(batch: Batch, key: Key, *, train: bool) -> Pair:
        source, target = batch["source"], batch["image"]
        if train:
            keys = example_keys(key, batch["index"])
            both = jitter(jnp.concatenate([source, target], -1), keys, pixels=shift, mirror=mirror)
            source, target = jnp.split(both, [source.shape[-1]], -1)
        return Pair(Degraded(source, source), target)

    options = {"residual": False, **options}
    model = image_to_image(network, pair_of=pair_of, of_given=lambda given: Degraded(given, given), **options)
    functions = dict(model.functions)
    return model._replace(table={"translate": functions.pop("restore"), **functions})


def image_to_image(
    network: nn.Module,
    *,
    pair_of: Callable[..., Pair],
    of_given: Callable[[jax.Array], Degraded],
    optimizer: optax.GradientTransformation,
    loss: str = "l1",
    residual: bool = True,
    adversary: Adversary | None = None,
    perceiver: Perceiver | None = None,
    ema_decay: float | None = None,
    border: int = 0,
) -> GenerativeModel:
    """A network from `given` [B, h, w, C'] to images, and a discriminator if there is one.

    The generator's loss is |G(x) - y| or its square, plus the adversarial loss and the distance of features by their
    weights (pix2pix: Isola et al. 2017, arXiv:1611.07004, eq. 4; SRGAN: Ledig et al. 2017, arXiv:1609.04802, eq. 3);
    both networks step at once. Where pixels are known they are put into the output, and are not learned.

    Args:
      network: `network(given, train=...) -> [B, H, W, C]`.
      pair_of: `pair_of(batch, key, train=...)`, what is given and what is wanted.
      of_given: what is given -> with its baseline, where there is nothing else.
      loss: a name in `CONTENT_LOSSES`.
      residual: whether the network gives the difference from the baseline.
      ema_decay: of the moving average of the generator that evaluation and samples use; None: no average.
      border: so many pixels at each side are left out of PSNR and SSIM.

    Metrics: `generator/loss` and its parts `generator/content`, `generator/adversarial`, `generator/features`;
    `discriminator/loss` and its accuracies; on evaluation, of 256 levels, `generator/psnr`, `generator/psnr_y` (of the
    luma) and `generator/ssim`, and the same of `baseline/`.

    There is no `sample`: images come from images. `functions`: `restore(state, given) -> images`; `baseline(given) ->
    images`, without the network; `compare(state, key, batch) -> [B, 3, H, W, C]`, the baseline, the output and the
    target; with a discriminator `discriminate(state, images, baselines) -> logits [B]`.

    Raises:
      KeyError: an unknown loss.
    """
    content, losses = CONTENT_LOSSES[loss], None if adversary is None else LOSSES[adversary.loss]
    networks = {"generator": network} | ({} if adversary is None else {"discriminator": adversary.network})
    optimizers = {"generator": optimizer} | ({} if adversary is None else {"discriminator": adversary.optimizer})

    def init(key: Key, batch: Batch) -> TrainState:
        run_key, pair_key, *network_keys = jax.random.split(key, 4)
        pair = pair_of(batch, pair_key, train=False)
        inputs = {"generator": pair.source.given, "discriminator": _beside(pair.target, pair.source)}
        params, model_state = {}, {}
        for (name, module), network_key in zip(networks.items(), network_keys, strict=False):
            params[name], model_state[name] = init_network(module, network_key, inputs[name])
        if perceiver is not None:  # copied: the state's buffers are donated, and may not be those of another
            model_state["frozen"] = jax.tree.map(jnp.copy, perceiver.load())
        averaged = () if ema_decay is None else ("generator",)
        return create_state(run_key, params, optimizers, model_state=model_state, averaged=averaged)

    def generate(params: Any, model_state: Any, source: Degraded, *, train: bool) -> tuple[jax.Array, Any]:
        outputs, updated = apply_network(network, params, model_state["generator"], source.given, train=train)
        if residual:
            outputs = source.baseline + outputs
        if source.known is not None:
            outputs = jnp.where(source.known > 0, source.baseline, outputs)
        return outputs, updated

    def judge(params: Any, model_state: Any, images: jax.Array, source: Degraded, *, train: bool) -> tuple[Any, Any]:
        """Logits [B, patches]."""
        logits, updated = apply_network(
            adversary.network, params, model_state["discriminator"], _beside(images, source), train=train
        )
        return rows(logits), updated

    def compute(
        params: dict[str, Any], state: TrainState, pair: Pair, *, train: bool
    ) -> tuple[Losses, tuple[jax.Array, dict[str, Any], Any]]:
        """The losses; the outputs, the networks' states, and the logits of targets and outputs if there are any."""
        outputs, generator_state = generate(params["generator"], state.model_state, pair.source, train=train)
        terms, updated, logits = {"content": content(outputs, pair.target)}, {**state.model_state}, None
        updated["generator"], judged = generator_state, jnp.zeros(len(outputs))
        if perceiver is not None:
            both = [perceiver.features(state.model_state["frozen"], images) for images in (outputs, pair.target)]
            distances = [row_means(jnp.square(rows(a) - rows(b))) for a, b in zip(*both, strict=True)]
            terms["features"] = perceiver.weight * sum(distances)
        if adversary is not None:
            logits = []
            for images in (pair.target, outputs):
                found, updated["discriminator"] = judge(
                    params["discriminator"], updated, images, pair.source, train=train
                )
                logits.append(found)
            terms["adversarial"] = adversary.weight * jnp.mean(losses.generator(*logits), 1)
            judged = jnp.mean(losses.discriminator(*logits), 1)
        return Losses(terms, judged), (outputs, updated, logits)

    def train_step(state: TrainState, batch: Batch, key: Key) -> tuple[TrainState, Metrics]:
        pair = pair_of(batch, key, train=True)
        found, pull, (_, updated, logits) = jax.vjp(
            lambda params: compute(params, state, pair, train=True), state.params, has_aux=True
        )
        zero = jax.tree.map(jnp.zeros_like, found)
        one = jax.tree.map(lambda values: jnp.full_like(values, 1.0 / len(values)), found)
        slopes = {"generator": zero._replace(generator=one.generator)}
        if adversary is not None:
            slopes["discriminator"] = zero._replace(discriminator=one.discriminator)
        after = state
        for name, slope in slopes.items():  # each network's own gradient of its own loss, all from one forward pass
            after = update(after, name, pull(slope)[0][name], optimizers[name])
        if ema_decay is not None:
            after = update_average(after, "generator", ema_decay)
        return after.replace(step=state.step + 1, model_state=updated), metrics_of(found, logits)

    def metrics_of(found: Losses, logits: Any) -> Metrics:
        metrics = {f"generator/{name}": sum_and_count(values) for name, values in found.generator.items()}
        metrics["generator/loss"] = sum_and_count(sum(found.generator.values()))
        if logits is not None:
            real, generated = logits
            metrics["discriminator/loss"] = sum_and_count(found.discriminator)
            for name, right in (("real", real > losses.boundary), ("generated", generated < losses.boundary)):
                metrics[f"discriminator/accuracy_{name}"] = sum_and_count(jnp.mean(right.astype(jnp.float32), 1))
        return metrics

    def eval_step(state: TrainState, batch: Batch, key: Key) -> Metrics:
        pair = pair_of(batch, key, train=False)
        params = {**state.params, "generator": averaged_params(state, "generator")}
        found, (outputs, _, logits) = compute(params, state, pair, train=False)
        scores = {}
        for name, images in (("generator", outputs), ("baseline", pair.source.baseline)):
            of_images = restoration_scores(images, pair.target, border)
            # A mean of many images is infinite if one is perfect: it counts as 100 dB.
            scores |= {f"{name}/{metric}": jnp.minimum(values, 100.0) for metric, values in of_images.items()}
        return metrics_of(found, logits) | {name: sum_and_count(values) for name, values in scores.items()}

    # ------------------------------------------------------------ use

    def restored(state: TrainState, source: Degraded) -> jax.Array:
        outputs, _ = generate(averaged_params(state, "generator"), state.model_state, source, train=False)
        return jnp.clip(outputs, -1.0, 1.0)

    def restore(state: TrainState, given: jax.Array) -> jax.Array:
        return restored(state, of_given(given))

    def compare(state: TrainState, key: Key, batch: Batch) -> jax.Array:
        pair = pair_of(batch, key, train=False)
        return jnp.stack([pair.source.baseline, restored(state, pair.source), pair.target], 1)

    def discriminate(state: TrainState, images: jax.Array, baselines: jax.Array) -> jax.Array:
        source = Degraded(baselines, baselines)
        return jnp.mean(judge(state.params["discriminator"], state.model_state, images, source, train=False)[0], 1)

    functions = {"restore": restore, "baseline": lambda given: of_given(given).baseline, "compare": compare}
    if adversary is not None:
        functions["discriminate"] = discriminate
    return GenerativeModel(init, train_step, eval_step, None, table=functions)


def _beside(images: jax.Array, source: Degraded) -> jax.Array:
    """[B, H, W, 2 C]."""
    return jnp.concatenate([images, source.baseline], -1)


def restoration_scores(images: jax.Array, targets: jax.Array, border: int) -> dict[str, jax.Array]:
    """PSNR of all channels and of the luma, and SSIM, [B] each, of images in [-1, 1] in 256 levels, without the border.

    Infinite PSNR for images that equal their targets.
    """
    inner = slice(border, -border or None)
    images, targets = (as_bytes(x)[:, inner, inner] for x in (images, targets))
    return {
        "psnr": psnr(images, targets, max_value=255.0),
        "psnr_y": psnr(luma(images), luma(targets), max_value=255.0),
        "ssim": ssim(images, targets, max_value=255.0),
    }
