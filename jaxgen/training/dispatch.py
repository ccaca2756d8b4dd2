"""Computation on the devices: many train steps in one call, and an evaluation over the held-out examples."""

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, SupportsFloat

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxgen.core.model import GenerativeModel
from jaxgen.core.reductions import sum_over_devices
from jaxgen.core.state import TrainState
from jaxgen.core.types import Batch, Metrics
from jaxgen.data.dataset import Dataset, is_resident, length, read_examples
from jaxgen.data.order import epoch_order
from jaxgen.data.stream import stream_batches
from jaxgen.training.parallel import per_device, replicate, split_local_over_devices, split_over_devices


class DispatchResult(NamedTuple):
    """Report of one call of the dispatch, besides the state."""

    metrics: Metrics
    """Sums over the steps taken and all devices: {name: (sum, weight)}."""
    steps: jax.Array
    """[] int32, the number of steps taken: fewer than requested if one was not finite."""
    finite: jax.Array
    """[] bool, whether every metric of every step was finite."""


Dispatch = Callable[[TrainState, int], tuple[TrainState, DispatchResult]]


def _run_steps(
    model: GenerativeModel, take_batch: Callable[[TrainState, jax.Array], Batch], state: TrainState, count: jax.Array
) -> tuple[TrainState, DispatchResult]:
    """Run `count` train steps in one loop on the device; it ends early after a step whose metrics are not finite."""

    @functools.partial(jax.jit, inline=True)  # traced once, both for its shapes and for the loop
    def one_step(state: TrainState, i: jax.Array) -> tuple[TrainState, Metrics]:
        batch = take_batch(state, i)
        state, metrics = model.train_step(state, batch, jax.random.fold_in(state.key, state.step))
        return state, sum_over_devices(metrics)

    def body(carry: tuple) -> tuple:
        state, totals, i, _ = carry
        state, metrics = one_step(state, i)
        finite = jnp.all(jnp.stack([jnp.isfinite(total) for total, _ in metrics.values()]))
        return state, jax.tree.map(jnp.add, totals, metrics), i + 1, finite

    shapes = jax.eval_shape(one_step, state, jnp.zeros((), jnp.int32))[1]
    totals = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
    start = (state, totals, jnp.zeros((), jnp.int32), jnp.array(True))
    # A loop of dynamic length: one compiled program serves every number of steps, so results cannot depend on it.
    state, totals, steps, finite = jax.lax.while_loop(lambda c: (c[2] < count) & c[3], body, start)
    return state, DispatchResult(totals, steps, finite)


def _local_index(mesh: Mesh, batch_size: int, device: jax.Array) -> jax.Array:
    """Return [b] uint32, the numbers within the global batch of the examples of this device."""
    local = batch_size // mesh.size
    return device.astype(jnp.uint32) * local + jnp.arange(local, dtype=jnp.uint32)


def build_dispatch(
    model: GenerativeModel, data: Dataset, mesh: Mesh, *, batch_size: int, max_steps: int, seed: int, start_step: int
) -> Dispatch:
    """Build `dispatch(state, count)`, which runs `count` <= `max_steps` train steps and donates the state given to it.

    Resident data is placed once and shuffled on the device; a source is streamed, `max_steps` batches ahead. In both
    cases the batch of a step is a pure function of (seed, step), and each example occurs once per epoch.
    """
    if is_resident(data.train):  # seed and step are in the state: the order uses the run's key
        return _resident_dispatch(model, data, mesh, batch_size=batch_size)
    return _streaming_dispatch(
        model, data, mesh, batch_size=batch_size, max_steps=max_steps, seed=seed, start_step=start_step
    )


def _resident_dispatch(model: GenerativeModel, data: Dataset, mesh: Mesh, *, batch_size: int) -> Dispatch:
    train = data.train
    assert is_resident(train)
    on_device = functools.partial(_resident_steps, model, data, length(train), mesh, batch_size)
    run = per_device(on_device, mesh, (False, False, False, True), donate=(0,))
    arrays = replicate(mesh, dict(train))
    devices = split_over_devices(mesh, np.arange(mesh.size, dtype=np.int32))
    counts: dict[int, jax.Array] = {}  # each placed once, so that a call transfers nothing

    def dispatch(state: TrainState, count: int) -> tuple[TrainState, DispatchResult]:
        if count not in counts:
            counts[count] = replicate(mesh, np.int32(count))
        return run(state, arrays, counts[count], devices)

    return dispatch


def _resident_steps(
    model: GenerativeModel,
    data: Dataset,
    examples: int,
    mesh: Mesh,
    batch_size: int,
    state: TrainState,
    arrays: dict[str, jax.Array],
    count: jax.Array,
    device: jax.Array,
) -> tuple[TrainState, DispatchResult]:
    index = _local_index(mesh, batch_size, device)
    seed_words = jax.random.key_data(state.key).reshape(-1)[:2]

    def take_batch(state: TrainState, i: jax.Array) -> Batch:
        del i
        positions = state.step.astype(jnp.uint32) * np.uint32(batch_size) + index
        rows = epoch_order(seed_words, positions, examples)
        return _batch_at(data, arrays, index, rows)

    return _run_steps(model, take_batch, state, count)


def _streaming_dispatch(
    model: GenerativeModel, data: Dataset, mesh: Mesh, *, batch_size: int, max_steps: int, seed: int, start_step: int
) -> Dispatch:
    train = data.train
    assert not is_resident(train)
    on_device = functools.partial(_streamed_steps, model, data, mesh, batch_size)
    run = per_device(on_device, mesh, (False, False, True, True), donate=(0,))
    devices = split_over_devices(mesh, np.arange(mesh.size, dtype=np.int32))
    stream: Iterator[dict[str, np.ndarray]] = stream_batches(
        train,
        batch_size=batch_size,
        seed=seed,
        start_step=start_step,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
    )

    def dispatch(state: TrainState, count: int) -> tuple[TrainState, DispatchResult]:
        batches = _next_batches(stream, mesh, count, max_steps)
        return run(state, replicate(mesh, np.int32(count)), devices, batches)

    return dispatch


def _streamed_steps(
    model: GenerativeModel,
    data: Dataset,
    mesh: Mesh,
    batch_size: int,
    state: TrainState,
    count: jax.Array,
    device: jax.Array,
    batches: dict[str, jax.Array],
) -> tuple[TrainState, DispatchResult]:
    index = _local_index(mesh, batch_size, device)

    def take_batch(state: TrainState, i: jax.Array) -> Batch:
        del state
        return _batch_at(data, batches, index, i)

    return _run_steps(model, take_batch, state, count)


def _next_batches(
    stream: Iterator[dict[str, np.ndarray]], mesh: Mesh, count: int, max_steps: int
) -> dict[str, jax.Array]:
    """Return the next `count` batches as [D, max_steps, b, ...]; the rows after `count` are not used."""
    batches = [next(stream) for _ in range(count)]
    batches += [batches[-1]] * (max_steps - count)
    rows = {name: np.stack([batch[name] for batch in batches]) for name in batches[0]}
    local_devices = mesh.size // jax.process_count()
    split = {name: np.moveaxis(x.reshape(max_steps, local_devices, -1, *x.shape[2:]), 0, 1) for name, x in rows.items()}
    return split_local_over_devices(mesh, split)


def build_evaluation(
    model: GenerativeModel, data: Dataset, mesh: Mesh, *, batch_size: int
) -> Callable[[TrainState], dict[str, float]]:
    """Build `evaluate(state)`: every metric of `model.eval_step` over all held-out examples, with an exact last batch.

    The key of batch i is `fold_in(fold_in(key, 2**31), i)`, distinct from the keys of the train steps.
    """
    held_out = data.test
    assert held_out is not None
    total, resident = length(held_out), is_resident(held_out)
    full_batch = functools.partial(_evaluate_full_batch, model, data, mesh, batch_size)
    run_full = per_device(full_batch, mesh, (False, False, False, True))
    run_any = jax.jit(functools.partial(_evaluate_any_batch, model, data))
    devices = split_over_devices(mesh, np.arange(mesh.size, dtype=np.int32))
    placed = replicate(mesh, dict(held_out)) if is_resident(held_out) else None

    def evaluate(state: TrainState) -> dict[str, float]:
        results = []
        for number, start in enumerate(range(0, total, batch_size)):
            stop = min(start + batch_size, total)
            placed_number = replicate(mesh, np.int32(number))
            if resident and stop - start == batch_size:
                results.append(run_full(state, placed, placed_number, devices))
            else:
                rows = replicate(mesh, read_examples(held_out, start, stop))
                results.append(run_any(state, rows, placed_number))
        return mean_metrics(add_metrics(*jax.device_get(results)))

    return evaluate


def _evaluate_full_batch(
    model: GenerativeModel,
    data: Dataset,
    mesh: Mesh,
    batch_size: int,
    state: TrainState,
    arrays: dict,
    number: jax.Array,
    device: jax.Array,
) -> Metrics:
    """Return the metrics of batch `number` of the arrays, with a part of it on each device."""
    index = _local_index(mesh, batch_size, device)
    rows = number.astype(jnp.uint32) * np.uint32(batch_size) + index
    batch = _batch_at(data, arrays, index, rows)
    return sum_over_devices(model.eval_step(state, batch, _evaluation_key(state, number)))


def _evaluate_any_batch(
    model: GenerativeModel, data: Dataset, state: TrainState, arrays: dict, number: jax.Array
) -> Metrics:
    """Return the metrics of all rows of the arrays, computed as a whole on each device."""
    index = jnp.arange(len(next(iter(arrays.values()))), dtype=jnp.uint32)
    return model.eval_step(state, _batch_at(data, arrays, index, index), _evaluation_key(state, number))


def _evaluation_key(state: TrainState, number: jax.Array) -> jax.Array:
    return jax.random.fold_in(jax.random.fold_in(state.key, 2**31), number)


def _batch_at(data: Dataset, arrays: dict[str, jax.Array], index: jax.Array, rows: jax.Array) -> Batch:
    return {**data.prepare({name: values[rows] for name, values in arrays.items()}), "index": index}


def add_metrics(*parts: Mapping[str, tuple[SupportsFloat, SupportsFloat]]) -> dict[str, tuple[float, float]]:
    """Sum (sum, weight) pairs by name, in float64."""
    totals: dict[str, tuple[float, float]] = {}
    for part in parts:
        for name, (total, weight) in part.items():
            old_total, old_weight = totals.get(name, (0.0, 0.0))
            totals[name] = (old_total + float(total), old_weight + float(weight))
    return totals


def mean_metrics(totals: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    """Return sum / weight of each metric; metrics without weight are left out."""
    return {name: total / weight for name, (total, weight) in totals.items() if weight > 0}
