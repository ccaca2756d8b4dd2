"""Devices: which a run uses, how values are placed on them, and the one way a per-device function is run on all."""

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
"""Arrays of at most so many numbers may be kept for a while."""
Result = TypeVar("Result")
_DETERMINISTIC = "--xla_gpu_deterministic_ops=true"


def device_mesh(count: int | None = None) -> Mesh:
    """A mesh of the first `count` devices (None: all, of all processes).

    Raises:
      UserError: more devices asked for than there are, or fewer than all in a run of several processes.
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
    """How many CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def describe_machine(mesh: Mesh) -> Json:
    """What the bits of a run depend on besides its options and the libraries: platform, kind, devices (, cores).

    XLA's CPU code splits sums over the cores that it may use, so that another number of them adds in another order.
    """
    device = mesh.devices.flat[0]
    cores = {"cores": cpu_cores()} if device.platform == "cpu" else {}
    return {"platform": device.platform, "kind": device.device_kind, "devices": mesh.size, **cores}


def use_cores_as_devices(count: int) -> None:
    """Lets jax's CPU be `count` devices (at most one for each core), if its backend has not started.

    XLA computes some programs on one core only, convolutions above all; two devices of half a batch then take both.
    What an accelerator computes is not touched, nor what XLA_FLAGS says of CPU devices.
    """
    if "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", ""):
        return
    with contextlib.suppress(RuntimeError):  # a backend has started: it has the devices that it has
        jax.config.update("jax_num_cpu_devices", min(count, cpu_cores()))


def use_deterministic_algorithms() -> None:
    """Makes a GPU give the same bits every time. Only has an effect before jax starts its backend."""
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_DETERMINISTIC}".strip()


def check_deterministic(mesh: Mesh) -> None:
    """Raises `UserError` where exact bits were asked for and jax was started on a GPU without them."""
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
    """The same value on every device (each process gives the whole value)."""
    return _place(mesh, tree, P())


def split_over_devices(mesh: Mesh, tree: PyTree) -> PyTree:
    """Leaves [D, ...], the same in every process, with row d on device d."""
    return _place(mesh, tree, P(AXIS))


def split_local_over_devices(mesh: Mesh, tree: PyTree) -> PyTree:
    """Leaves [local D, ...] of this process's own devices, as parts of global arrays [D, ...]."""
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

    Of the functions made here at most `_most_in_flight` are under way at once, see there. An argument whose `mapped` is
    True has leaves [D, ...] and each device gets its row [...]; the others go whole to every device. The result must be
    the same on all devices and is returned once (`replicated_output=False` returns every device's, stacked, for tests
    that compare the replicas).

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
    """Return how many programs with collectives may be under way at once on the devices of a mesh.

    On a CPU one. Each device of a program is a task of a pool of few threads there, and a task that waits in a
    collective keeps its thread: of several programs at once the waiting tasks of one can leave no thread to the task of
    another that they wait for, for ever. An accelerator runs its programs in the order in which they were begun: it has
    a few, so that it is never idle, and no more, so that what they read does not fill its memory.
    """
    return 1 if mesh.devices.flat[0].platform == "cpu" else 8


_in_flight: deque[list[jax.Array]] = deque()
"""Of each program with collectives that was begun and not awaited, what tells that it is done, oldest first."""


def _a_few_at_once(run: Callable[..., Result], mesh: Mesh) -> Callable[..., Result]:
    """`run`, which first awaits earlier programs where too many are under way; `run` itself on a single device."""
    if mesh.size == 1:
        return run
    most = _most_in_flight(mesh)

    def begin(*arguments: PyTree) -> Result:
        while len(_in_flight) >= most:
            await_arrays(_in_flight.popleft())
        output = run(*arguments)
        # All outputs of a program are there at once: the small ones tell it, and hold no memory.
        leaves = sorted(jax.tree.leaves(output), key=lambda leaf: leaf.size)
        _in_flight.append([leaf for leaf in leaves if leaf.size <= max(SMALL, leaves[0].size)])
        return output

    return begin


def await_arrays(arrays: Sequence[jax.Array]) -> None:
    """Return when all arrays have been computed; those that were donated since are passed over."""
    jax.block_until_ready([array for array in arrays if not array.is_deleted()])


def shard_mapped(
    function: Callable[..., Result],
    mesh: Mesh,
    mapped: Sequence[bool],
    *,
    donate: Sequence[int] = (),
    replicated_output: bool = True,
) -> Callable[..., Result]:
    """`per_device` for several processes (and for the test that holds it against `pmap`)."""

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
