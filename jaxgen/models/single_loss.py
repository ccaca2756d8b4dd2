"""Models with one loss and one optimizer: the steps that turn a loss into the contract."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from jaxgen.core.errors import UserError
from jaxgen.core.model import GenerativeModel
from jaxgen.core.reductions import mean_over_devices
from jaxgen.core.state import TrainState, averaged_params, create_state, freeze, sum_and_count, update, update_average
from jaxgen.core.types import Batch, Key, Metrics, ModelState, Params

Sums = tuple[Params, ModelState, jax.Array]
"""(gradients, model state, number of examples or their weight) of the parts of a batch so far."""


class LossOutput(NamedTuple):
    """The result of a loss for one batch."""

    losses: jax.Array
    """[B], one per example; the step takes their mean."""
    metrics: dict[str, jax.Array]
    """Values per example [B, ...] to report, by name."""
    model_state: ModelState
    """The state's `model_state` after this batch."""
    weights: jax.Array | None = None
    """[B]; None: 1 each. The step's loss is sum(losses) / sum(weights) over the whole batch of all devices, and a
    metric is sum(values) / sum(weights). For sequences, losses are sums over tokens and weights are numbers of
    tokens."""


@dataclass(frozen=True)
class SingleLoss:
    """All parameters trained together on one loss."""

    name: str
    """The key in `params` and `opt_state`, and the prefix of the metrics."""
    init_networks: Callable[[Key, Batch], tuple[Params, ModelState]]
    """(key, batch) -> (params, model_state) of the network or networks."""
    loss: Callable[..., LossOutput]
    """`loss(params, model_state, batch, key, *, train) -> LossOutput`."""
    optimizer: optax.GradientTransformation
    ema_decay: float | None = None
    """Decay of the moving average that evaluation and samples use; None: no average."""
    schedules: Mapping[str, optax.Schedule] | None = None
    """Further arguments of the loss by keyword, each a schedule: number of steps taken -> value []."""
    micro_batches: int = 1
    """Number M of parts of each device's batch that are taken one after another and whose gradients are added: the step
    of the whole batch in the memory of a part. M must divide the batch of a device."""


def init(training: SingleLoss, key: Key, batch: Batch) -> TrainState:
    """Return the state at step 0."""
    run_key, network_key = jax.random.split(key)
    params, model_state = training.init_networks(network_key, batch)
    name, optimizers = training.name, {training.name: training.optimizer}
    averaged = () if training.ema_decay is None else (name,)
    return create_state(run_key, {name: params}, optimizers, model_state=model_state, averaged=averaged)


def train_step(training: SingleLoss, state: TrainState, batch: Batch, key: Key) -> tuple[TrainState, Metrics]:
    """Take one optimizer step on the loss of a batch."""
    take = _gradient if training.micro_batches == 1 else _accumulated_gradient
    grads, model_state, metrics = take(training, state, batch, key)
    state = update(state.replace(model_state=model_state), training.name, grads, training.optimizer)
    if training.ema_decay is not None:
        state = update_average(state, training.name, training.ema_decay)
    return state.replace(step=state.step + 1), metrics


def eval_step(training: SingleLoss, state: TrainState, batch: Batch, key: Key) -> Metrics:
    """Return the metrics of held-out examples, with the averaged parameters."""
    params = averaged_params(state, training.name)
    scheduled = _scheduled(training, state)
    return _named(training, training.loss(params, state.model_state, batch, key, train=False, **scheduled))


def bind(training: SingleLoss, **capabilities: Any) -> GenerativeModel:
    """Return the model of these steps, with its `sample` and its other capabilities."""
    return GenerativeModel(
        partial(init, training), partial(train_step, training), partial(eval_step, training), **capabilities
    )


def _scheduled(training: SingleLoss, state: TrainState) -> dict[str, ArrayLike]:
    return {keyword: schedule(state.step) for keyword, schedule in (training.schedules or {}).items()}


def _named(training: SingleLoss, output: LossOutput) -> Metrics:
    def pair(values: jax.Array) -> tuple[jax.Array, jax.Array]:
        if output.weights is None:
            return sum_and_count(values)
        return jnp.sum(values, dtype=jnp.float32), jnp.sum(output.weights, dtype=jnp.float32)

    metrics = {f"{training.name}/{quantity}": pair(values) for quantity, values in output.metrics.items()}
    return {f"{training.name}/loss": pair(output.losses), **metrics}


def _gradient(training: SingleLoss, state: TrainState, batch: Batch, key: Key) -> tuple[Params, ModelState, Metrics]:
    """Return the gradient of this device's share of the mean loss, the model state after the batch, and the metrics."""

    def mean_loss(params: Params) -> tuple[jax.Array, LossOutput]:
        output = training.loss(params, state.model_state, batch, key, train=True, **_scheduled(training, state))
        if output.weights is None:
            return jnp.mean(output.losses), output
        return jnp.sum(output.losses) / mean_over_devices(jnp.sum(output.weights)), output

    grads, output = jax.grad(mean_loss, has_aux=True)(state.params[training.name])
    return grads, output.model_state, _named(training, output)


def _accumulated_gradient(
    training: SingleLoss, state: TrainState, batch: Batch, key: Key
) -> tuple[Params, ModelState, Metrics]:
    """Return what `_gradient` returns, accumulated over the parts of the batch."""
    size, count = len(next(iter(batch.values()))), training.micro_batches
    if size % count:
        raise UserError(f"The {size} examples of a device cannot be taken in {count} parts of one size.")
    parts = jax.tree.map(lambda x: x.reshape(count, -1, *x.shape[1:]), batch)

    def sum_of_losses(params: Params, model_state: ModelState, part: Batch) -> tuple[jax.Array, LossOutput]:
        output = training.loss(params, model_state, part, key, train=True, **_scheduled(training, state))
        return jnp.sum(output.losses), output

    def add_part(carry: Sums, part: Batch) -> tuple[Sums, Metrics]:
        grads, model_state, weight = carry
        more, output = jax.grad(sum_of_losses, has_aux=True)(state.params[training.name], model_state, part)
        size = float(len(output.losses)) if output.weights is None else jnp.sum(output.weights)
        return (jax.tree.map(jnp.add, grads, more), freeze(output.model_state), weight + size), _named(training, output)

    zeros = jax.tree.map(jnp.zeros_like, state.params[training.name])
    start = (zeros, state.model_state, jnp.zeros((), jnp.float32))
    (grads, model_state, weight), metrics = jax.lax.scan(add_part, start, parts)
    weight = mean_over_devices(weight)
    grads = jax.tree.map(lambda g: g / weight, grads)
    return grads, model_state, jax.tree.map(lambda values: jnp.sum(values, axis=0), metrics)
