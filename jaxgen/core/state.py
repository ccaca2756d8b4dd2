"""The contract: what a generative model is, and the one immutable value that holds all state of a run."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import optax

from jaxgen.core.reductions import mean_over_devices

Key = jax.Array
Batch = dict[str, jax.Array]
Metrics = dict[str, tuple[jax.Array, jax.Array]]


@flax.struct.dataclass
class TrainState:
    """All run state: immutable, arrays only. The checkpoint is this and nothing else."""

    step: jax.Array
    """[] int32, the number of train steps taken."""
    key: jax.Array
    """The run's key; only ever folded with the step, never split or advanced."""
    params: dict[str, Any]
    """What is trained, by network: {"generator": ..., "discriminator": ...}."""
    opt_state: dict[str, Any]
    """Optimizer states, under the same names as `params`."""
    model_state: dict[str, Any]
    """What changes but is not trained by gradients: batch statistics, code-book counts, "frozen" networks."""
    ema_params: dict[str, Any]
    """Exponential moving averages of some of `params`; {} where unused."""


class GenerativeModel(NamedTuple):
    """A generative model is four pure functions, and a table of what else it can do.

    - `init(key, batch) -> TrainState`; the batch gives shapes only.
    - `train_step(state, batch, key) -> (state, metrics)` raises `state.step` by one. Written for one device: what is
      averaged over devices says so (`jaxgen.training.parallel`).
    - `eval_step(state, batch, key) -> metrics`, on held-out examples.
    - `sample(state, key, num_samples, *, condition=None, **options) -> [num_samples, ...]`; None for a model that
      generates nothing by itself (a classifier, a translation).
    - `functions`: by name, e.g. `decode(state, latents)`, `prior(key, num_samples)`, `classify(state, images)`. A model
      whose samples have a condition also has `conditions(num_samples)`: those that `sample` takes where none are given
      (of classes, speakers, ...); or `captions(num_samples)`, if they are texts, int [num_samples, T] padded with 0.
      One that makes images from images has `compare(state, key, batch) -> [B, K, H, W, C]`, by which a run shows them.

    Every batch holds `index` [B], each example's number within the global batch of its step: noise is drawn from
    `fold_in(key, index)`, so that it does not depend on how many devices share the batch.
    """

    init: Callable[[Key, Batch], TrainState]
    train_step: Callable[[TrainState, Batch, Key], tuple[TrainState, Metrics]]
    eval_step: Callable[[TrainState, Batch, Key], Metrics]
    sample: Callable[..., jax.Array] | None
    functions: Mapping[str, Callable[..., Any]]


def create_state(
    key: Key,
    params: dict[str, Any],
    optimizers: Mapping[str, optax.GradientTransformation],
    *,
    model_state: dict[str, Any] | None = None,
    averaged: tuple[str, ...] = (),
) -> TrainState:
    """The state at step 0; `averaged` names the entries of `params` that get a moving average."""
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        key=key,
        params=params,
        opt_state={name: optimizer.init(params[name]) for name, optimizer in optimizers.items()},
        model_state=model_state or {},
        # Copies: a donated buffer must not stand in the state twice.
        ema_params={name: jax.tree.map(jnp.copy, params[name]) for name in averaged},
    )


def update(state: TrainState, name: str, grads: Any, optimizer: optax.GradientTransformation) -> TrainState:
    """Applies one optimizer's step to `params[name]`, with the gradients averaged over all devices."""
    grads = mean_over_devices(grads)
    updates, opt_state = optimizer.update(grads, state.opt_state[name], state.params[name])
    return state.replace(
        params={**state.params, name: optax.apply_updates(state.params[name], updates)},
        opt_state={**state.opt_state, name: opt_state},
    )


def update_average(state: TrainState, name: str, decay: float) -> TrainState:
    """Moves `ema_params[name]` toward `params[name]`: ema <- d ema + (1 - d) params.

    d = min(decay, (1 + t) / (10 + t)) at step t: the warm-up lets the average forget the random initial weights.
    """
    step = state.step.astype(jnp.float32)
    decay = jnp.minimum(decay, (1.0 + step) / (10.0 + step))
    average = jax.tree.map(
        lambda ema, new: ema + (1.0 - decay) * (new - ema), state.ema_params[name], state.params[name]
    )
    return state.replace(ema_params={**state.ema_params, name: average})


def averaged_params(state: TrainState, name: str) -> Any:
    """The moving average of `params[name]` where the state has one, else the parameters themselves."""
    return state.ema_params.get(name, state.params[name])


def sum_and_count(values: jax.Array) -> tuple[jax.Array, jax.Array]:
    """A metric from one value per example [B, ...]: (sum, number of values), to be summed before dividing."""
    return jnp.sum(values, dtype=jnp.float32), jnp.asarray(values.size, jnp.float32)
