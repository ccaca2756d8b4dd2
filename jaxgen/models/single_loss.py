"""Models with one loss and one optimizer: the helper that turns a loss into the contract."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxgen.core.errors import UserError
from jaxgen.core.reductions import mean_over_devices
from jaxgen.core.state import (
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

Params = dict[str, Any]


class LossOutput(NamedTuple):
    """What a loss gives for one batch."""

    losses: jax.Array
    """[B], one per example; the step takes their mean."""
    metrics: dict[str, jax.Array]
    """Values per example [B, ...] that are reported."""
    model_state: dict[str, Any]
    """The state's `model_state` after this batch."""
    weights: jax.Array | None = None
    """[B]; None: 1 each. The step's loss is sum(losses) / sum(weights) over the whole batch of all devices, and what is
    reported sum(values) / sum(weights): of sequences, losses are sums over tokens and weights are their numbers."""


def one_loss_model(
    *,
    name: str,
    init_networks: Callable[[Key, Batch], tuple[Params, dict[str, Any]]],
    loss: Callable[..., LossOutput],
    optimizer: optax.GradientTransformation,
    ema_decay: float | None = None,
    schedules: Mapping[str, optax.Schedule] | None = None,
    micro_batches: int = 1,
    sample: Callable[..., jax.Array] | None = None,
    functions: Mapping[str, Callable[..., Any]] | None = None,
) -> GenerativeModel:
    """A model that trains all its parameters together on one loss.

    Args:
      name: what `params`, `opt_state` and the metrics are called by.
      init_networks: (key, batch) -> (params, model_state) of the network or networks.
      loss: `loss(params, model_state, batch, key, *, train) -> LossOutput`.
      ema_decay: of the moving average that evaluation and samples use; None: no average.
      schedules: what the loss gets besides, by keyword: its value at the step, number of steps taken -> [].
      micro_batches: M parts of each device's batch, one after another, whose gradients are added: the step of the whole
        batch in the memory of a part. M must divide the batch of a device.
    """

    def scheduled(state: TrainState) -> dict[str, jax.Array]:
        return {keyword: schedule(state.step) for keyword, schedule in (schedules or {}).items()}

    def init(key: Key, batch: Batch) -> TrainState:
        run_key, network_key = jax.random.split(key)
        params, model_state = init_networks(network_key, batch)
        averaged = () if ema_decay is None else (name,)
        return create_state(run_key, {name: params}, {name: optimizer}, model_state=model_state, averaged=averaged)

    def named(output: LossOutput) -> Metrics:
        def pair(values: jax.Array) -> tuple[jax.Array, jax.Array]:
            if output.weights is None:
                return sum_and_count(values)
            return jnp.sum(values, dtype=jnp.float32), jnp.sum(output.weights, dtype=jnp.float32)

        metrics = {f"{name}/{quantity}": pair(values) for quantity, values in output.metrics.items()}
        return {f"{name}/loss": pair(output.losses), **metrics}

    def gradient(state: TrainState, batch: Batch, key: Key) -> tuple[Params, dict[str, Any], Metrics]:
        """Gradient of this device's share of the mean loss, the model state behind the batch, and the metrics."""

        def mean_loss(params: Params) -> tuple[jax.Array, LossOutput]:
            output = loss(params, state.model_state, batch, key, train=True, **scheduled(state))
            if output.weights is None:
                return jnp.mean(output.losses), output
            return jnp.sum(output.losses) / mean_over_devices(jnp.sum(output.weights)), output

        grads, output = jax.grad(mean_loss, has_aux=True)(state.params[name])
        return grads, output.model_state, named(output)

    def accumulated_gradient(state: TrainState, batch: Batch, key: Key) -> tuple[Params, dict[str, Any], Metrics]:
        """The same, by parts."""
        size = len(next(iter(batch.values())))
        if size % micro_batches:
            raise UserError(f"The {size} examples of a device cannot be taken in {micro_batches} parts of one size.")
        parts = jax.tree.map(lambda x: x.reshape(micro_batches, -1, *x.shape[1:]), batch)

        def sum_of_losses(params: Params, model_state: dict[str, Any], part: Batch) -> tuple[jax.Array, LossOutput]:
            output = loss(params, model_state, part, key, train=True, **scheduled(state))
            return jnp.sum(output.losses), output

        def add_part(carry: Any, part: Batch) -> tuple[Any, Metrics]:
            grads, model_state, weight = carry
            more, output = jax.grad(sum_of_losses, has_aux=True)(state.params[name], model_state, part)
            size = float(len(output.losses)) if output.weights is None else jnp.sum(output.weights)
            return (jax.tree.map(jnp.add, grads, more), output.model_state, weight + size), named(output)

        zeros = jax.tree.map(jnp.zeros_like, state.params[name])
        start = (zeros, state.model_state, jnp.zeros((), jnp.float32))
        (grads, model_state, weight), metrics = jax.lax.scan(add_part, start, parts)
        weight = mean_over_devices(weight)
        grads = jax.tree.map(lambda g: g / weight, grads)
        return grads, model_state, jax.tree.map(lambda values: jnp.sum(values, axis=0), metrics)

    def train_step(state: TrainState, batch: Batch, key: Key) -> tuple[TrainState, Metrics]:
        take = gradient if micro_batches == 1 else accumulated_gradient
        grads, model_state, metrics = take(state, batch, key)
        state = update(state.replace(model_state=model_state), name, grads, optimizer)
        if ema_decay is not None:
            state = update_average(state, name, ema_decay)
        return state.replace(step=state.step + 1), metrics

    def eval_step(state: TrainState, batch: Batch, key: Key) -> Metrics:
        params = averaged_params(state, name)
        return named(loss(params, state.model_state, batch, key, train=False, **scheduled(state)))

    return GenerativeModel(init, train_step, eval_step, sample, functions or {})
