"""Devices: their selection for a run, the placement of values, and running a per-device function on all of them."""

import contextlib
import os
from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jax.typing import ArrayLike

from jaxgen.core.errors import UserError
from jaxgen.core.reductions import AXIS
from jaxgen.core.types import Json, PyTree

SMALL = 1024
"""Arrays of at most this many numbers may be kept for a while."""
Result = TypeVar("Result")
_DETERMINISTIC = "--xla_gpu_deterministic_ops=true"


def device_mesh(count: int | None = None) -> Mesh:
    """Return a mesh of the first `count` devices (None: all, of all processes).

    Raises:
      UserError: more devices are requested than exist, or fewer than all in a run of several processes.
    """
    devices = jax.devices()
    if count is not None and not 1 <= count <= len(devices):
        raise UserError(
            f"--devices {count} was asked for but this machine has {len(devices)} {devices[0].platform} device(s): "
            f"choose 1 to {len(devices)}."
        )
    if count is not None and jax.process_count() > 1 and count != len(devices):
        raise UserError(f"A run of several processes uses all {len(devices)} devices: leave out --devices.")
    return Mesh(np.array(devices[:count]), (AXIS,))


def cpu_cores() -> int:
    """Return the number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def describe_machine(mesh: Mesh) -> Json:
    """Return what a run's bits depend on besides options and libraries: platform, kind, devices (, cores).

    XLA's CPU code splits sums over the cores that it may use, so that another number of cores adds in another order.
    """
    device = mesh.devices.flat[0]
    cores = {"cores": cpu_cores()} if device.platform == "cpu" else {}
    return {"platform": device.platform, "kind": device.device_kind, "devices": mesh.size, **cores}


def use_cores_as_devices(count: int) -> None:
    """Expose `count` CPU cores as jax devices (at most all cores) if jax's backend has not started.

    XLA computes some programs on one core only, above all convolutions; two devices with half a batch each then use
    two. Accelerators are not affected, and CPU devices set by XLA_FLAGS stay.
    """
    if "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", ""):
        return
    with contextlib.suppress(RuntimeError):  # a backend has started: its devices are fixed
        jax.config.update("jax_num_cpu_devices", min(count, cpu_cores()))


def use_deterministic_algorithms() -> None:
    """Make a GPU compute the same bits every time. This only has an effect before jax starts its backend."""
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_DETERMINISTIC}".strip()


def check_deterministic(mesh: Mesh) -> None:
    """Refuse a GPU on which jax was started without deterministic algorithms.

    Raises:
      UserError: jax runs on a GPU and XLA_FLAGS lack the flag for them.
    """
    on_gpu = mesh.devices.flat[0].platform in ("gpu", "cuda", "rocm")
    if on_gpu and _DETERMINISTIC not in os.environ.get("XLA_FLAGS", ""):
        raise UserError(f"--deterministic needs XLA_FLAGS={_DETERMINISTIC} in the environment before jax starts.")


def _place(mesh: Mesh, tree: PyTree, spec: P) -> PyTree:
    sharding = NamedSharding(mesh, spec)

    def place(x: ArrayLike) -> jax.Array:
        if isinstance(x, jax.Array) and jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(place(jax.random.key_data(x)), impl=jax.random.key_impl(x))
        if jax.process_count() == 1:
            return jax.device_put(x, sharding)
        x = np.asarray(x)
        return jax.make_array_from_callback(x.shape, sharding, lambda index: x[index])

    return jax.tree.map(place, tree)


def replicate(mesh: Mesh, tree: PyTree) -> PyTree:
    """Place the same value on every device (each process gives the whole value)."""
    return _place(mesh, tree, P())


def split_over_devices(mesh: Mesh, tree: PyTree) -> PyTree:
    """Place leaves [D, ...], the same in every process, with row d on device d."""
    return _place(mesh, tree, P(AXIS))


def split_local_over_devices(mesh: Mesh, tree: PyTree) -> PyTree:
    """Place leaves [local D, ...] on this process's own devices, as parts of global arrays [D, ...]."""
    sharding = NamedSharding(mesh, P(AXIS))
    if jax.process_count() == 1:
        return jax.device_put(tree, sharding)
    return jax.tree.map(lambda x: jax.make_array_from_process_local_data(sharding, np.asarray(x)), tree)


def per_device(
    function: Callable[..., Result],
    mesh: Mesh,
    mapped: Sequence[bool],
    *,
    donate: Sequence[int] = (),
    replicated_output: bool = True,
) -> Callable[..., Result]:
    """Compile `function` to run once per device, with the axis `AXIS` bound, for `jaxgen.core.reductions`.

    At most `_most_in_flight` of the functions made here are in flight at once. An argument whose `mapped` is True has
    leaves [D, ...] and each device gets its row [...]; the others go whole to every device. The result must be the same
    on all devices and is returned once (`replicated_output=False` returns every device's, stacked, for tests that
    compare the replicas).

    In one process this is `jax.pmap`. Its outputs are local to a process, so across processes the same function runs
    through `jax.shard_map`, whose outputs are global arrays; both give the same bits.
    """
    if jax.process_count() == 1:
        axes = tuple(0 if m else None for m in mapped)
        out = None if replicated_output else 0
        run = jax.pmap(
            function,
            axis_name=AXIS,
            in_axes=axes,
            out_axes=out,
            devices=list(mesh.devices),
            donate_argnums=tuple(donate),
        )
    else:
        run = shard_mapped(function, mesh, mapped, donate=donate, replicated_output=replicated_output)
    return _a_few_at_once(run, mesh)


def _most_in_flight(mesh: Mesh) -> int:
    """Return how many programs with collectives may be in flight at once on the devices of a mesh.

    On a CPU this is one. There each device of a program is a task of a pool of few threads, and a task that waits in a
    collective keeps its thread: with several programs at once, the waiting tasks of one can leave no thread for the
    task of another that they wait for, forever. An accelerator runs its programs in the order in which they were
    started: it gets a few, so that it is never idle, and no more, so that their inputs do not fill its memory.
    """
    return 1 if mesh.devices.flat[0].platform == "cpu" else 8


_in_flight: deque[list[jax.Array]] = deque()
"""Small outputs of each program with collectives that was started but not awaited, oldest first; they tell that it is
done."""


def _a_few_at_once(run: Callable[..., Result], mesh: Mesh) -> Callable[..., Result]:
    """Return `run`, which first awaits earlier programs if too many are in flight; on a single device `run` itself."""
    if mesh.size == 1:
        return run
    most = _most_in_flight(mesh)

    def begin(*arguments: PyTree) -> Result:
        while len(_in_flight) >= most:
            await_arrays(_in_flight.popleft())
        output = run(*arguments)
        # All outputs of a program are ready at once, so await small ones, which hold little memory.
        leaves = sorted(jax.tree.leaves(output), key=lambda leaf: leaf.size)
        _in_flight.append([leaf for leaf in leaves if leaf.size <= max(SMALL, leaves[0].size)])
        return output

    return begin


def await_arrays(arrays: Sequence[jax.Array]) -> None:
    """Wait until all arrays have been computed, skipping those that were donated since."""
    jax.block_until_ready([array for array in arrays if not array.is_deleted()])


def shard_mapped(
    function: Callable[..., Result],
    mesh: Mesh,
    mapped: Sequence[bool],
    *,
    donate: Sequence[int] = (),
    replicated_output: bool = True,
) -> Callable[..., Result]:
    """Do `per_device` for several processes (and for the test that compares it with `pmap`)."""

    def on_one_device(*arguments: PyTree) -> Result:
        rows = [jax.tree.map(lambda x: x[0], a) if m else a for a, m in zip(arguments, mapped, strict=True)]
        output = function(*rows)
        return output if replicated_output else jax.tree.map(lambda x: x[None], output)

    return jax.jit(
        jax.shard_map(
            on_one_device,
            mesh=mesh,
            in_specs=tuple(P(AXIS) if m else P() for m in mapped),
            out_specs=P() if replicated_output else P(AXIS),
            check_vma=False,
        ),
        donate_argnums=tuple(donate),
    )
