"""Models with one loss and one optimiser: the helper that turns a loss into the contract."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

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

Params = dict[str, Any]


class LossOutput(NamedTuple):
    """What a loss gives for one batch."""

    losses: jax.Array
    """[B], one per example; the step takes their mean."""
    metrics: dict[str, jax.Array]
    """Values per example [B, ...] that are reported."""
    model_state: dict[str, Any]
    """The state's `model_state` after this batch."""


def one_loss_model(
    *,
    name: str,
    init_networks: Callable[[Key, Batch], tuple[Params, dict[str, Any]]],
    loss: Callable[..., LossOutput],
    optimiser: optax.GradientTransformation,
    ema_decay: float | None = None,
    schedules: Mapping[str, optax.Schedule] | None = None,
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
    """

    def scheduled(state: TrainState) -> dict[str, jax.Array]:
        return {keyword: schedule(state.step) for keyword, schedule in (schedules or {}).items()}

    def init(key: Key, batch: Batch) -> TrainState:
        run_key, network_key = jax.random.split(key)
        params, model_state = init_networks(network_key, batch)
        averaged = () if ema_decay is None else (name,)
        return create_state(run_key, {name: params}, {name: optimiser}, model_state=model_state, averaged=averaged)

    def named(output: LossOutput) -> Metrics:
        metrics = {f"{name}/{quantity}": sum_and_count(values) for quantity, values in output.metrics.items()}
        return {f"{name}/loss": sum_and_count(output.losses), **metrics}

    def train_step(state: TrainState, batch: Batch, key: Key) -> tuple[TrainState, Metrics]:
        def mean_loss(params: Params) -> tuple[jax.Array, LossOutput]:
            output = loss(params, state.model_state, batch, key, train=True, **scheduled(state))
            return jnp.mean(output.losses), output

        grads, output = jax.grad(mean_loss, has_aux=True)(state.params[name])
        state = update(state.replace(model_state=output.model_state), name, grads, optimiser)
        if ema_decay is not None:
            state = update_average(state, name, ema_decay)
        return state.replace(step=state.step + 1), named(output)

    def eval_step(state: TrainState, batch: Batch, key: Key) -> Metrics:
        params = averaged_params(state, name)
        return named(loss(params, state.model_state, batch, key, train=False, **scheduled(state)))

    return GenerativeModel(init, train_step, eval_step, sample, functions or {})
