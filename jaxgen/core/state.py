"""The immutable state of a run, and the ways a step changes it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

import flax.struct
import jax
import jax.numpy as jnp
import optax

from jaxgen.core.reductions import mean_over_devices
from jaxgen.core.types import Array, Key, ModelState, Params, PyTree


class Frozen(dict[str, Any]):
    """A dict that cannot be changed: `{**mapping, name: value}` makes another."""

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("a state cannot be changed: make another, state.replace(params={**state.params, name: value})")

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = _refuse
    setdefault = update = _refuse  # pyright: ignore[reportAssignmentType]  # dict has overloads of them

    def __reduce__(self) -> tuple[type, tuple[dict[str, Any]]]:
        return Frozen, (dict(self),)


def _children(mapping: Frozen) -> tuple[tuple[PyTree, ...], tuple[str, ...]]:
    names = tuple(sorted(mapping))
    return tuple(mapping[name] for name in names), names


def _children_with_keys(mapping: Frozen) -> tuple[tuple[PyTree, ...], tuple[str, ...]]:
    names = tuple(sorted(mapping))
    return tuple((jax.tree_util.DictKey(name), mapping[name]) for name in names), names


jax.tree_util.register_pytree_with_keys(
    Frozen, _children_with_keys, lambda names, values: Frozen(zip(names, values, strict=True)), _children
)


def freeze(tree: PyTree) -> PyTree:
    """Return a tree of dicts as one that cannot be changed; return anything else unchanged."""
    if isinstance(tree, Frozen) or not isinstance(tree, Mapping):
        return tree
    return Frozen({name: freeze(value) for name, value in tree.items()})


@flax.struct.dataclass
class TrainState:
    """The complete state of a run: immutable, including its mappings; arrays only.

    A checkpoint is this and nothing else.
    """

    step: Array
    """[] int32, the number of train steps taken."""
    key: Key
    """The run's key; it is only ever folded with the step, never split or advanced."""
    params: Params
    """Trained parameters by network: {"generator": ..., "discriminator": ...}."""
    opt_state: Mapping[str, optax.OptState]
    """Optimizer states, under the same names as `params`."""
    model_state: ModelState
    """State that changes but is not trained by gradients: batch statistics, codebook counts, "frozen" networks."""
    ema_params: Params
    """Exponential moving averages of some of `params`; {} if unused."""

    def __post_init__(self) -> None:
        for name in ("params", "opt_state", "model_state", "ema_params"):
            object.__setattr__(self, name, freeze(getattr(self, name)))

    if TYPE_CHECKING:  # `flax.struct.dataclass` adds it, but does not declare it

        def replace(
            self,
            *,
            step: Array = ...,
            key: Key = ...,
            params: Params = ...,
            opt_state: Mapping[str, optax.OptState] = ...,
            model_state: ModelState = ...,
            ema_params: Params = ...,
        ) -> "TrainState":
            """Return a state with some fields replaced."""
            ...


def create_state(
    key: Key,
    params: Params,
    optimizers: Mapping[str, optax.GradientTransformation],
    *,
    model_state: ModelState | None = None,
    averaged: tuple[str, ...] = (),
) -> TrainState:
    """Return the state at step 0; `averaged` names the entries of `params` that have a moving average."""
    params = freeze(params)
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        key=key,
        params=params,
        opt_state={name: optimizer.init(params[name]) for name, optimizer in optimizers.items()},
        model_state=model_state or {},
        # Copy them, since a donated buffer must not occur in the state twice.
        ema_params={name: jax.tree.map(jnp.copy, params[name]) for name in averaged},
    )


def update(state: TrainState, name: str, grads: Params, optimizer: optax.GradientTransformation) -> TrainState:
    """Apply one optimizer's step to `params[name]`, with the gradients averaged over all devices."""
    grads = freeze(mean_over_devices(grads))
    updates, opt_state = optimizer.update(grads, state.opt_state[name], state.params[name])
    return state.replace(
        params={**state.params, name: optax.apply_updates(state.params[name], freeze(updates))},
        opt_state={**state.opt_state, name: opt_state},
    )


def update_average(state: TrainState, name: str, decay: float) -> TrainState:
    """Move `ema_params[name]` toward `params[name]`: ema <- d ema + (1 - d) params.

    d = min(decay, (1 + t) / (10 + t)) at step t: the warm-up lets the average forget the random initial weights.
    """
    step = state.step.astype(jnp.float32)
    warmed_up = jnp.minimum(decay, (1.0 + step) / (10.0 + step))
    average = jax.tree.map(
        lambda ema, new: ema + (1.0 - warmed_up) * (new - ema), state.ema_params[name], state.params[name]
    )
    return state.replace(ema_params={**state.ema_params, name: average})


def averaged_params(state: TrainState, name: str) -> Params:
    """Return the moving average of `params[name]` if the state has one, else the parameters themselves."""
    return state.ema_params.get(name, state.params[name])


def sum_and_count(values: Array) -> tuple[Array, Array]:
    """Return a metric from one value per example [B, ...] as (sum, number of values), to be summed before dividing."""
    return jnp.sum(values, dtype=jnp.float32), jnp.asarray(values.size, jnp.float32)
