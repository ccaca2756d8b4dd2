"""The promises of the contract (README, "How it is built"), asked of a tiny model per learning principle."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from contract_cases import BATCH_SIZE, CASES, data_of, dispatch_of, initial_state, model_of
from helpers import floats

from jaxgen.data import example_batch
from jaxgen.training import checkpoint
from jaxgen.training.dispatch import add_metrics, build_evaluation, mean_metrics
from jaxgen.training.parallel import device_mesh, per_device, replicate, shard_mapped, split_over_devices
from jaxgen.training.run_setup import with_sharding

QUICK = [name for name, case in CASES.items() if not case.slow]
CORE = [name for name in QUICK if CASES[name].core]

LIKE_ANOTHER = ("dcgan_of_14_pixels", "stylegan2", "diffusion_by_a_unet")
"""Cases all of whose parts are in other cases, and that take long to compile for each number of devices."""


def cases(names, quick=QUICK):
    """Parametrizes a test; the long tests take those that are not quick."""
    marks = {True: [], False: [pytest.mark.slow]}
    return pytest.mark.parametrize("case", [pytest.param(name, marks=marks[name in quick]) for name in names])


every_case = cases(CASES)
every_core_case = cases(CASES, quick=CORE)
every_generative_case = cases([case for case in CASES if model_of(case).sample is not None])
every_case_of_images = cases([case for case in CASES if model_of(case).sample is not None and not CASES[case].of_text])


def prior_of(case):
    """What draws the latents or the codes of a case, if it has any."""
    model = model_of(case)
    return getattr(model.latents or model.codes, "prior", None)


def run_steps(case, state, counts, devices=1):
    """The state and metrics after dispatches of `counts` steps."""
    parts = []
    for count in counts:
        state, result = dispatch_of(case, devices)(state, count)
        parts.append(jax.device_get(result.metrics))
    return state, mean_metrics(add_metrics(*parts))


def batch_of(case, size=BATCH_SIZE):
    return example_batch(data_of(case), size)


@functools.cache
def compiled_step(case):
    """A state, and `step(key)`: (state, metrics) of one step from it under plain jit, by one program for several tests.

    Keys are followed while it is traced: one that is used twice is an error here, see `test_no_key_is_used_twice`.
    """
    state, batch = initial_state(case), batch_of(case)
    with jax.debug_key_reuse(True):
        step = jax.jit(model_of(case).train_step).lower(state, batch, jax.random.key(5)).compile()
    return state, lambda key: step(state, batch, key)


@functools.cache
def after_one_step(case):
    """(state before, state after, metrics) of one step under plain jit."""
    state, step = compiled_step(case)
    return state, *step(jax.random.key(5))


@functools.cache
def drawn(case):
    """`drawn(key)`: 5 samples, by one program for several tests."""
    model, state = model_of(case), initial_state(case)
    return jax.jit(lambda key: model.sample(state, key, 5))


# ---------------------------------------------------------------- exact


@every_core_case
def test_a_run_restored_from_its_checkpoint_ends_in_the_same_bits(case, tmp_path):
    whole, _ = run_steps(case, initial_state(case), [7])
    part, _ = run_steps(case, initial_state(case), [3])
    with checkpoint.open_checkpoints(tmp_path) as manager:
        checkpoint.save(manager, part, {})
    target = with_sharding(jax.eval_shape(lambda: initial_state(case)), device_mesh(1))
    restored, _ = checkpoint.restore_latest(tmp_path, target)
    assert int(restored.step) == 3
    assert checkpoint.digest(restored) == checkpoint.digest(part)
    rest, _ = run_steps(case, restored, [4])
    assert checkpoint.digest(rest) == checkpoint.digest(whole)


@every_case
def test_bits_do_not_depend_on_how_many_steps_a_dispatch_takes(case):
    at_once, _ = run_steps(case, initial_state(case), [7])
    one_by_one, _ = run_steps(case, initial_state(case), [1] * 7)
    unevenly, _ = run_steps(case, initial_state(case), [4, 3])
    assert checkpoint.digest(one_by_one) == checkpoint.digest(at_once)
    assert checkpoint.digest(unevenly) == checkpoint.digest(at_once)


# ---------------------------------------------------------------- on any number of devices


@pytest.mark.parametrize("case", CORE)  # the others in float64 only, below, which is the stricter
def test_one_step_is_the_same_on_1_2_and_8_devices(case):
    one, metrics = run_steps(case, initial_state(case), [1])
    for devices in (2, 8):
        other, other_metrics = run_steps(case, initial_state(case, devices), [1], devices)
        assert metrics == pytest.approx(other_metrics, rel=2e-6, abs=2e-6)
        for (path, expected), (_, actual) in zip(floats(one), floats(other), strict=True):
            atol = 2e-6 * max(1.0, np.abs(expected).max(initial=0.0))  # sums round as their largest terms do
            np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=atol, err_msg=f"{path} on {devices}")


@cases([case for case in CASES if case not in LIKE_ANOTHER], quick=CORE[:1])
def test_several_steps_agree_in_float64_on_1_and_8_devices(case):
    def double(x):
        return x.astype(jnp.float64) if jnp.issubdtype(x.dtype, jnp.floating) else x

    with jax.enable_x64(True):
        results = {}
        for devices in (1, 8):
            state = replicate(device_mesh(devices), jax.tree.map(double, initial_state(case)))
            results[devices], _ = dispatch_of(case, devices, x64=True)(state, 6)
        pairs = list(zip(floats(results[1]), floats(results[8]), strict=True))
        assert {x.dtype for (_, x), _ in pairs} == {np.dtype("float64")}
        for (path, expected), (_, actual) in pairs:
            np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max(), err_msg=path)


@pytest.mark.parametrize("case", CASES)
def test_parameters_are_float32_where_float64_is_enabled_too(case):
    with jax.enable_x64(True):
        state = jax.eval_shape(model_of(case).init, jax.random.key(3), example_batch(data_of(case), 2))
    for path, x in jax.tree.leaves_with_path(state.params):
        assert x.dtype == jnp.float32, jax.tree_util.keystr(path)


@pytest.mark.parametrize("case", ["mlp_gan", "dcgan_with_batch_norm_in_both_networks", "classifier"])
def test_all_devices_hold_the_same_bits(case):
    model, mesh = model_of(case), device_mesh(8)

    def step(state, batch):
        return model.train_step(state, batch, jax.random.key(5))[0]

    rows = jax.tree.map(lambda x: x.reshape(8, -1, *x.shape[1:]), batch_of(case))
    run = per_device(step, mesh, (False, True), replicated_output=False)
    states = run(initial_state(case, 8), split_over_devices(mesh, rows))
    for path, replicas in floats(states):
        assert replicas.shape[0] == 8
        np.testing.assert_array_equal(replicas, np.broadcast_to(replicas[:1], replicas.shape), err_msg=path)


def test_pmap_and_shard_map_give_the_same_bits():
    case = "mlp_gan"
    model, mesh = model_of(case), device_mesh(2)
    rows = jax.tree.map(lambda x: x.reshape(2, -1, *x.shape[1:]), batch_of(case))

    def step(state, batch):
        return model.train_step(state, batch, jax.random.key(5))

    digests = set()
    for wrap in (per_device, shard_mapped):
        state, _ = wrap(step, mesh, (False, True))(initial_state(case, 2), split_over_devices(mesh, rows))
        digests.add(checkpoint.digest(state))
    assert len(digests) == 1


def test_a_checkpoint_of_one_device_goes_on_on_eight(tmp_path):
    case = "mlp_gan"
    whole, _ = run_steps(case, initial_state(case), [5])
    part, _ = run_steps(case, initial_state(case), [3])
    with checkpoint.open_checkpoints(tmp_path) as manager:
        checkpoint.save(manager, part, {})
    target = with_sharding(jax.eval_shape(lambda: initial_state(case)), device_mesh(8))
    restored, _ = checkpoint.restore_latest(tmp_path, target)
    assert checkpoint.digest(restored) == checkpoint.digest(part)
    rest, _ = run_steps(case, restored, [2], devices=8)
    for (path, expected), (_, actual) in zip(floats(whole), floats(rest), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5, err_msg=path)


def test_the_dispatch_moves_nothing_between_host_and_device():
    for devices in (1, 8):
        dispatch = dispatch_of("mlp_gan", devices)
        state, _ = dispatch(initial_state("mlp_gan", devices), 2)
        with jax.transfer_guard("disallow"):
            state, _ = dispatch(state, 2)
        assert int(state.step) == 4


@every_case
def test_evaluation_does_not_depend_on_the_batch_size(case):
    # A metric of the data alone (the real images' logits, the classifier's loss): 21 examples, so the last batch is
    # smaller. What is drawn differs, since noise belongs to an example's number in its batch.
    def evaluated(size):
        return build_evaluation(model_of(case), data_of(case), device_mesh(1), batch_size=size)(initial_state(case))

    name, values = CASES[case].data_metric, evaluated(4)
    assert all(np.isfinite(list(values.values())))
    if name is not None:
        assert values[name] == pytest.approx(evaluated(21)[name], rel=1e-5)


# ---------------------------------------------------------------- alive


@every_case
def test_every_parameter_changes(case):
    before = initial_state(case)
    after, metrics = run_steps(case, initial_state(case), [4])
    for name in ("params", "ema_params", "model_state"):
        for (path, old), (_, new) in zip(floats(getattr(before, name)), floats(getattr(after, name)), strict=True):
            sign = path.endswith("['u']") and old.size == 1  # a spectral norm's, of one output: 1 or -1 for good
            if not path.startswith("['frozen']") and not sign:  # `frozen`: a first stage's
                assert not np.array_equal(old, new), f"{name}{path} stands still"
    assert all(np.isfinite(list(metrics.values())))
    assert checkpoint.all_finite(after)
    assert int(after.step) == 4


@cases([case for case in CASES if CASES[case].of_text])
def test_samples_of_text_are_tokens(case):
    samples = np.asarray(drawn(case)(jax.random.key(0)))
    chex.assert_shape(samples, (5, 9))
    assert samples.dtype == np.int32
    assert set(np.unique(samples)) == set(range(5))


@every_case_of_images
def test_samples_have_the_shape_and_range_of_images(case):
    size = CASES[case].image_size
    samples = drawn(case)(jax.random.key(0))
    chex.assert_shape(samples, (5, size, size, 1))
    assert float(jnp.abs(samples).max()) <= 1.0
    assert float(jnp.std(samples)) > 0.0


def test_a_classifier_generates_nothing_and_classifies():
    model, state = model_of("classifier"), initial_state("classifier")
    assert model.sample is None
    chex.assert_shape(model.classify(state, batch_of("classifier", 3)["image"]), (3, 10))


@every_case
def test_metrics_are_sums_and_weights_over_the_batch(case):
    _, after, metrics = after_one_step(case)
    assert int(after.step) == 1
    size = BATCH_SIZE * (
        batch_of(case)["tokens"].shape[1] - 1 if CASES[case].of_text and not CASES[case].of_lines else 1
    )
    for name, (total, weight) in metrics.items():
        assert "/" in name
        assert np.isfinite(total)
        assert float(weight) in (0.0, size)


# ---------------------------------------------------------------- pure


@every_case
def test_the_same_inputs_give_the_same_outputs(case):
    _, after, metrics = after_one_step(case)
    again, metrics_again = compiled_step(case)[1](jax.random.key(5))
    assert checkpoint.digest(again) == checkpoint.digest(after)
    assert jax.device_get(metrics) == jax.device_get(metrics_again)


@every_case
def test_the_step_uses_its_key(case):
    state, after, _ = after_one_step(case)
    other, _ = compiled_step(case)[1](jax.random.key(6))
    name = next(iter(state.params))
    assert checkpoint.digest(other) != checkpoint.digest(after)
    assert any(
        not np.array_equal(a, b)
        for (_, a), (_, b) in zip(floats(other.params[name]), floats(after.params[name]), strict=True)
    )


@every_case
def test_no_key_is_used_twice(case):
    model, state, batch = model_of(case), initial_state(case), batch_of(case, 4)

    def everything_else(key):
        init_key, eval_key, sample_key = jax.random.split(key, 3)
        results = [model.init(init_key, batch), model.eval_step(state, batch, eval_key)]
        if model.sample is not None:
            results.append(model.sample(state, sample_key, 2))
        return results

    compiled_step(case)  # followed the keys of a train step
    with jax.debug_key_reuse(True):
        jax.jit(everything_else).trace(jax.random.key(0))


def test_the_check_of_key_reuse_finds_one():
    def twice(key):
        return jax.random.normal(key) + jax.random.uniform(key)

    with jax.debug_key_reuse(True), pytest.raises(jax.errors.KeyReuseError):
        jax.jit(twice)(jax.random.key(0))


@cases([case for case in CASES if prior_of(case) is not None])
def test_noise_belongs_to_the_example(case):
    prior = prior_of(case)
    latents = np.asarray(prior(jax.random.key(1), 6))
    assert len(np.unique(latents, axis=0)) == 6
    np.testing.assert_array_equal(latents[:3], prior(jax.random.key(1), 3))


@every_generative_case
def test_samples_follow_their_key(case):
    draw = drawn(case)
    first, again, other = draw(jax.random.key(0)), draw(jax.random.key(0)), draw(jax.random.key(1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
