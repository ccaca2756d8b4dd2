"""The reductions over devices, and noise that belongs to the example."""

import os
import subprocess
import sys

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.core.errors import UserError
from jaxgen.core.keys import example_normal
from jaxgen.core.reductions import axis_is_bound, gather_over_devices, mean_over_devices, sum_over_devices
from jaxgen.training import parallel
from jaxgen.training.parallel import (
    device_mesh,
    per_device,
    replicate,
    shard_mapped,
    split_local_over_devices,
    split_over_devices,
)

REDUCTIONS = [mean_over_devices, sum_over_devices, gather_over_devices]


@pytest.mark.parametrize("reduce", REDUCTIONS)
def test_reductions_do_nothing_where_no_device_axis_is_bound(reduce):
    tree = {"a": jnp.arange(3.0), "b": jnp.ones((2, 2))}
    for result in (reduce(tree), jax.jit(reduce)(tree)):
        chex.assert_trees_all_equal(result, tree)
    assert not axis_is_bound()


@pytest.mark.parametrize("wrap", [per_device, shard_mapped])
@pytest.mark.parametrize("devices", [1, 2, 8])
def test_reductions_over_devices_are_those_of_the_whole_batch(wrap, devices):
    mesh = device_mesh(devices)
    values = np.arange(16.0, dtype=np.float32).reshape(devices, -1)

    def function(x):
        assert axis_is_bound()
        return mean_over_devices(jnp.mean(x)), sum_over_devices(jnp.sum(x)), gather_over_devices(x)

    mean, total, gathered = wrap(function, mesh, (True,))(split_over_devices(mesh, values))
    assert float(mean) == values.mean()
    assert float(total) == values.sum()
    np.testing.assert_array_equal(gathered, np.arange(16.0))  # in the order of the devices


@pytest.mark.parametrize("wrap", [per_device, shard_mapped])
def test_replicas_can_be_looked_at(wrap):
    mesh = device_mesh(4)
    rows = split_over_devices(mesh, np.arange(4.0, dtype=np.float32))
    each = wrap(lambda x, y: x * y, mesh, (True, False), replicated_output=False)(rows, replicate(mesh, jnp.ones(())))
    np.testing.assert_array_equal(each, np.arange(4.0))


@pytest.mark.parametrize("wrap", [per_device, shard_mapped])
def test_a_donated_argument_is_used_up(wrap):
    mesh = device_mesh(2)
    state = replicate(mesh, jnp.ones((1000,)))
    new = wrap(lambda x: x + 1, mesh, (False,), donate=(0,))(state) if wrap is shard_mapped else None
    if wrap is per_device:  # pmap needs one mapped argument
        row = split_over_devices(mesh, np.zeros(2, np.float32))
        new = wrap(lambda x, y: x + 1 + y, mesh, (False, True), donate=(0,))(state, row)
    assert state.is_deleted()
    np.testing.assert_array_equal(new, np.full(1000, 2.0))


def test_gradients_of_a_shared_batch_are_those_of_the_whole():
    mesh = device_mesh(8)
    x = np.random.default_rng(0).normal(size=(16, 3)).astype(np.float32)
    weights = jnp.array([0.3, -1.0, 2.0])

    def loss(weights, x):
        return jnp.mean(jnp.tanh(x @ weights) ** 2)

    shared = per_device(lambda w, x: mean_over_devices(jax.grad(loss)(w, x)), mesh, (False, True))
    grads = shared(replicate(mesh, weights), split_over_devices(mesh, x.reshape(8, 2, 3)))
    np.testing.assert_allclose(grads, jax.grad(loss)(weights, x), rtol=1e-5)


def test_noise_follows_the_index_and_not_the_place():
    key = jax.random.key(7)
    whole = example_normal(key, jnp.arange(8, dtype=jnp.uint32), (3, 2))
    part = example_normal(key, jnp.array([5, 2], jnp.uint32), (3, 2))
    chex.assert_shape(whole, (8, 3, 2))
    np.testing.assert_array_equal(part, whole[np.array([5, 2])])
    assert len(np.unique(np.asarray(whole))) == whole.size


def test_noise_of_examples_is_standard_normal():
    noise = np.asarray(example_normal(jax.random.key(0), jnp.arange(20_000, dtype=jnp.uint32), (2,)))
    assert abs(noise.mean()) < 0.02
    assert abs(noise.std() - 1) < 0.02
    assert abs(np.corrcoef(noise[:-1, 0], noise[1:, 0])[0, 1]) < 0.03  # neighbors are independent


def test_a_key_may_be_placed():
    placed = replicate(device_mesh(8), {"key": jax.random.key(3), "x": np.arange(3)})
    assert jnp.issubdtype(placed["key"].dtype, jax.dtypes.prng_key)
    np.testing.assert_array_equal(jax.random.key_data(placed["key"]), jax.random.key_data(jax.random.key(3)))
    assert len(placed["x"].sharding.device_set) == 8


def test_local_rows_are_split_over_the_devices_of_one_process():
    mesh = device_mesh(4)
    rows = split_local_over_devices(mesh, {"x": np.arange(8).reshape(4, 2)})["x"]
    assert [shard.data.tolist() for shard in rows.addressable_shards] == [[[0, 1]], [[2, 3]], [[4, 5]], [[6, 7]]]


@pytest.mark.parametrize("count", [0, -1, 9])
def test_other_numbers_of_devices_than_there_are_are_refused(count):
    with pytest.raises(UserError, match=f"--devices {count} .* has 8 cpu"):
        device_mesh(count)


def test_no_number_means_all_devices():
    assert device_mesh().size == 8
    assert device_mesh(3).size == 3


def test_a_cpu_is_as_many_devices_as_asked_for_and_has_cores():
    program = (
        "import jax; from jaxgen.training.parallel import use_cores_as_devices as use;"
        "use({count}); print(len(jax.devices())); use(1); print(len(jax.devices()))"
    )
    environment = {key: value for key, value in os.environ.items() if key != "XLA_FLAGS"}
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    for count, flags in ((2, None), (1_000, None), (2, "--xla_force_host_platform_device_count=3")):
        expected = min(count, cores) if flags is None else 3
        result = subprocess.run(
            [sys.executable, "-c", program.format(count=count)],
            env=environment | {"JAX_PLATFORMS": "cpu"} | ({} if flags is None else {"XLA_FLAGS": flags}),
            capture_output=True,
            text=True,
            check=True,
        )
        assert result.stdout.split() == [str(expected)] * 2


def test_hundreds_of_programs_that_nobody_awaits_do_not_wait_for_each_other():
    mesh = device_mesh(8)
    matrices = split_over_devices(mesh, np.ones((8, 64, 64), np.float32))

    def function(x):  # long enough for the next to be begun, with several collectives
        return [sum_over_devices(jnp.sum(jax.lax.fori_loop(0, 8, lambda i, y: y @ x / 64, x)) + i) for i in range(3)]

    run = per_device(function, mesh, (True,))
    results = [run(matrices) for _ in range(400)]
    assert len(parallel._in_flight) <= 1
    np.testing.assert_allclose(jax.device_get(results), [[8 * (64 * 64 + i) for i in range(3)]] * 400, rtol=1e-5)


def test_a_single_device_is_not_waited_for():
    mesh = device_mesh(1)
    begun = len(parallel._in_flight)
    per_device(lambda x: x + 1, mesh, (True,))(split_over_devices(mesh, np.ones((1, 3))))
    assert len(parallel._in_flight) == begun
