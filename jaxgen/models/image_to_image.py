"""From one image to another, learned from pairs, with and without a discriminator (pix2pix, SRGAN)."""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxgen.metrics.restoration import psnr, ssim
from jaxgen.models.degradations import Degraded, as_bytes, luma
from jaxgen.models.gan_losses import LOSSES
from jaxgen.models.variables import apply_network, init_network
from jaxgen.training.state import (
    Batch,
    GenerativeModel,
    Key,
    Metrics,
    TrainState,
    averaged_params,
    create_state,
    sum_and_count,
    update,
    update_average,
)

CONTENT_LOSSES: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = {
    "l1": lambda outputs, targets: jnp.mean(jnp.abs(outputs - targets), (1, 2, 3)),
    "mse": lambda outputs, targets: jnp.mean(jnp.square(outputs - targets), (1, 2, 3)),
}


class Pair(NamedTuple):
    """What an image is made from, and what it should be."""

    source: Degraded
    target: jax.Array
    """[B, H, W, C] in [-1, 1]."""


class Adversary(NamedTuple):
    """A discriminator of outputs beside what they were made from."""

    network: nn.Module
    """`network(images and baselines [B, H, W, 2 C], train=...) -> logits [B, ...]`, of the image or of its patches."""
    optimiser: optax.GradientTransformation
    loss: str = "non_saturating"
    """A name in `jaxgen.models.gan_losses.LOSSES`."""
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


def translation(network: nn.Module, **options: Any) -> GenerativeModel:
    """`image_to_image` from `source` to `image` of the same size (pix2pix); the baseline is the source as it is.

    `functions`: `translate(state, images) -> images` in place of `restore`.
    """

    def pair_of(batch: Batch, key: Key, *, train: bool) -> Pair:
        del key, train
        return Pair(Degraded(batch["source"], batch["source"]), batch["image"])

    options = {"residual": False, **options}
    model = image_to_image(network, pair_of=pair_of, of_given=lambda given: Degraded(given, given), **options)
    functions = dict(model.functions)
    return model._replace(functions={"translate": functions.pop("restore"), **functions})


def image_to_image(
    network: nn.Module,
    *,
    pair_of: Callable[..., Pair],
    of_given: Callable[[jax.Array], Degraded],
    optimiser: optax.GradientTransformation,
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
    optimisers = {"generator": optimiser} | ({} if adversary is None else {"discriminator": adversary.optimiser})

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
        return create_state(run_key, params, optimisers, model_state=model_state, averaged=averaged)

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
        return logits.reshape(len(logits), -1), updated

    def generator_terms(
        params: Any, state: TrainState, pair: Pair, *, train: bool
    ) -> tuple[dict[str, jax.Array], tuple[jax.Array, dict[str, Any], Any]]:
        """The parts of the generator's loss [B] each; its outputs, the networks' states, and the logits if any."""
        outputs, generator_state = generate(params, state.model_state, pair.source, train=train)
        terms, updated, logits = {"content": content(outputs, pair.target)}, {**state.model_state}, None
        updated["generator"] = generator_state
        if perceiver is not None:
            both = [perceiver.features(state.model_state["frozen"], images) for images in (outputs, pair.target)]
            distances = [jnp.mean(jnp.square(a - b), range(1, a.ndim)) for a, b in zip(*both, strict=True)]
            terms["features"] = perceiver.weight * sum(distances)
        if adversary is not None:
            real, discriminator_state = judge(
                state.params["discriminator"], state.model_state, pair.target, pair.source, train=train
            )
            generated, discriminator_state = judge(
                state.params["discriminator"],
                {**state.model_state, "discriminator": discriminator_state},
                outputs,
                pair.source,
                train=train,
            )
            logits, updated["discriminator"] = (real, generated), discriminator_state
            terms["adversarial"] = adversary.weight * jnp.mean(losses.generator(real, generated), 1)
        return terms, (outputs, updated, logits)

    def discriminator_loss(params: Any, state: TrainState, pair: Pair, outputs: jax.Array) -> tuple[jax.Array, Any]:
        """[B], and the metrics."""
        real, generated = (
            judge(params, state.model_state, images, pair.source, train=True)[0] for images in (pair.target, outputs)
        )
        return jnp.mean(losses.discriminator(real, generated), 1)

    def train_step(state: TrainState, batch: Batch, key: Key) -> tuple[TrainState, Metrics]:
        pair = pair_of(batch, key, train=True)

        def mean_loss(params: Any) -> tuple[jax.Array, Any]:
            terms, rest = generator_terms(params, state, pair, train=True)
            return jnp.mean(sum(terms.values())), (terms, *rest)

        grads, (terms, outputs, updated, logits) = jax.grad(mean_loss, has_aux=True)(state.params["generator"])
        after = update(state, "generator", grads, optimiser)
        if adversary is not None:
            fixed = jax.lax.stop_gradient(outputs)
            grads = jax.grad(lambda params: jnp.mean(discriminator_loss(params, state, pair, fixed)))(
                state.params["discriminator"]
            )
            after = update(after, "discriminator", grads, adversary.optimiser)
        if ema_decay is not None:
            after = update_average(after, "generator", ema_decay)
        return after.replace(step=state.step + 1, model_state=updated), metrics_of(terms, logits)

    def metrics_of(terms: dict[str, jax.Array], logits: tuple[jax.Array, jax.Array] | None) -> Metrics:
        metrics = {f"generator/{name}": sum_and_count(values) for name, values in terms.items()}
        metrics["generator/loss"] = sum_and_count(sum(terms.values()))
        if logits is not None:
            real, generated = logits
            metrics["discriminator/loss"] = sum_and_count(jnp.mean(losses.discriminator(real, generated), 1))
            for name, right in (("real", real > losses.boundary), ("generated", generated < losses.boundary)):
                metrics[f"discriminator/accuracy_{name}"] = sum_and_count(jnp.mean(right.astype(jnp.float32), 1))
        return metrics

    def eval_step(state: TrainState, batch: Batch, key: Key) -> Metrics:
        pair = pair_of(batch, key, train=False)
        terms, (outputs, _, logits) = generator_terms(averaged_params(state, "generator"), state, pair, train=False)
        scores = {}
        for name, images in (("generator", outputs), ("baseline", pair.source.baseline)):
            scores |= {f"{name}/{metric}": values for metric, values in _scores(images, pair.target, border).items()}
        return metrics_of(terms, logits) | {name: sum_and_count(values) for name, values in scores.items()}

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
    return GenerativeModel(init, train_step, eval_step, None, functions)


def _beside(images: jax.Array, source: Degraded) -> jax.Array:
    """[B, H, W, 2 C]."""
    return jnp.concatenate([images, source.baseline], -1)


def _scores(images: jax.Array, targets: jax.Array, border: int) -> dict[str, jax.Array]:
    """PSNR of all channels and of the luma, and SSIM, [B] each, of 256 levels, without the border."""
    inner = slice(border, -border or None)
    images, targets = (as_bytes(x)[:, inner, inner] for x in (images, targets))
    # A mean of many images is infinite if one is perfect: it counts as 100 dB.
    return {
        "psnr": jnp.minimum(psnr(images, targets, max_value=255.0), 100.0),
        "psnr_y": jnp.minimum(psnr(luma(images), luma(targets), max_value=255.0), 100.0),
        "ssim": ssim(images, targets, max_value=255.0),
    }
