"""Checkpoints are whole or passed over, and the right ones are kept."""

import json
import logging
import shutil
import sys
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest
from helpers import overwrite_64_bytes

from jaxgen.core.errors import UserError
from jaxgen.core.state import create_state
from jaxgen.training import checkpoint, checkpoint_folder
from jaxgen.training.parallel import device_mesh
from jaxgen.training.run_setup import with_sharding


def make_state(step=0, value=0.5):
    params = {"net": {"w": jnp.full((64, 64), value), "b": jnp.zeros((3,), jnp.bfloat16)}}
    state = create_state(jax.random.key(1), params, {"net": optax.adam(1e-3)}, averaged=("net",))
    return state.replace(step=jnp.int32(step), model_state={"empty": {}, "counts": jnp.arange(5)})


TARGET = with_sharding(jax.eval_shape(make_state), device_mesh(1))


def save_steps(folder, *steps, record=None, **options):
    with checkpoint.open_checkpoints(folder, **options) as manager:
        for step in steps:
            checkpoint.save(manager, make_state(step, float(step)), record or {})


NEW = ("format", "signature")


def rewrite_json(step, change):
    path = step / "run" / "metadata"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


# ---------------------------------------------------------------- digests


def test_equal_states_have_equal_digests_and_others_do_not():
    state = make_state()
    assert checkpoint.digest(state) == checkpoint.digest(make_state())
    others = [
        state.replace(step=jnp.int32(1)),
        state.replace(key=jax.random.key(2)),
        state.replace(params={"net": {**state.params["net"], "w": state.params["net"]["w"].at[0, 0].add(1e-7)}}),
        state.replace(params={"net": {**state.params["net"], "w": state.params["net"]["w"].reshape(32, 128)}}),
        state.replace(params={"web": state.params["net"]}),
        state.replace(model_state={"empty": {}, "counts": jnp.arange(5).astype(jnp.uint32)}),
        state.replace(ema_params={}),
    ]
    digests = {checkpoint.digest(other) for other in [state, *others]}
    assert len(digests) == len(others) + 1


def test_negative_zero_has_a_digest_of_its_own():
    assert checkpoint.digest(make_state(value=0.0)) != checkpoint.digest(make_state(value=-0.0))


def test_all_finite_looks_at_every_float():
    state = make_state()
    assert checkpoint.all_finite(state)
    for bad in (np.nan, np.inf):
        assert not checkpoint.all_finite(state.replace(ema_params={"net": jnp.array([0.0, bad])}))
        assert not checkpoint.all_finite(state.replace(model_state={"x": jnp.array([bad], jnp.bfloat16)}))


# ---------------------------------------------------------------- there and back


def test_a_state_comes_back_bit_for_bit_with_its_json(tmp_path):
    save_steps(tmp_path, 7, record={"best": {"value": 0.25}, "text": "ä"})
    state, run = checkpoint.restore_latest(tmp_path, TARGET)
    assert checkpoint.digest(state) == checkpoint.digest(make_state(7, 7.0))
    assert jax.tree.structure(state) == jax.tree.structure(make_state())
    assert run["step"] == 7
    assert run["best"] == {"value": 0.25}
    assert run["text"] == "ä"


def test_a_state_may_be_used_up_while_it_is_written(tmp_path):
    burn = jax.jit(lambda state: jax.tree.map(lambda x: x, state.replace(step=state.step + 1)), donate_argnums=0)
    state = make_state(3, 3.0)
    with checkpoint.open_checkpoints(tmp_path) as manager:
        checkpoint.save(manager, state, {})
        for _ in range(20):
            state = burn(state)
    assert checkpoint.digest(checkpoint.restore_step(tmp_path, 3, TARGET)[0]) == checkpoint.digest(make_state(3, 3.0))


def test_a_step_can_be_named(tmp_path):
    save_steps(tmp_path, 1, 2, 3, keep=3)
    assert int(checkpoint.restore_latest(tmp_path, TARGET, step=2)[0].step) == 2
    with pytest.raises(UserError, match=r"no checkpoint of step 9 .* 3, 2, 1"):
        checkpoint.restore_latest(tmp_path, TARGET, step=9)


def test_no_checkpoint_is_said(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UserError, match="There is no checkpoint in"):
            checkpoint.restore_latest(folder, TARGET)


def test_reading_changes_nothing_on_disk(tmp_path):
    save_steps(tmp_path, 1, 2)
    (tmp_path / "3").mkdir()
    before = sorted(str(p) for p in tmp_path.rglob("*"))
    checkpoint.restore_latest(tmp_path, TARGET, warn=lambda text: None)
    assert sorted(str(p) for p in tmp_path.rglob("*")) == before


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    save_steps(tmp_path, 4)
    other = make_state().replace(params={"net": {"w": jnp.zeros((8, 8)), "b": jnp.zeros((3,), jnp.bfloat16)}})
    with pytest.raises(UserError, match=r"other network settings \(params/net/w is \[64, 64\], not \[8, 8\]\)"):
        checkpoint.restore_latest(tmp_path, with_sharding(jax.eval_shape(lambda: other), device_mesh(1)))


# ---------------------------------------------------------------- damage


def test_64_overwritten_bytes_are_found_and_the_older_checkpoint_is_taken(tmp_path):
    save_steps(tmp_path, 10, 20)
    overwrite_64_bytes(tmp_path / "20" / "state")
    said = []
    state, _ = checkpoint.restore_latest(tmp_path, TARGET, warn=said.append)
    assert checkpoint.digest(state) == checkpoint.digest(make_state(10, 10.0))
    assert len(said) == 1
    assert "Checkpoint 20" in said[0]
    assert "Going back to checkpoint 10." in said[0]


@pytest.mark.parametrize("lost", ["state", "run", "everything", "half of the files"])
def test_an_incomplete_checkpoint_is_passed_over(tmp_path, lost):
    save_steps(tmp_path, 10, 20)
    if lost == "everything":
        shutil.rmtree(tmp_path / "20")
        (tmp_path / "20").mkdir()
    elif lost == "half of the files":
        for path in sorted(p for p in (tmp_path / "20").rglob("*") if p.is_file())[::2]:
            path.unlink()
    else:
        shutil.rmtree(tmp_path / "20" / lost)
    said = []
    state, _ = checkpoint.restore_latest(tmp_path, TARGET, warn=said.append)
    assert int(state.step) == 10
    assert ["Checkpoint 20" in text for text in said] == [True]


def test_when_every_checkpoint_is_damaged_that_is_said(tmp_path):
    save_steps(tmp_path, 10, 20)
    for step in ("10", "20"):
        overwrite_64_bytes(tmp_path / step / "state")
    with pytest.raises(UserError, match=r"No checkpoint in .* can be used\. Checkpoint 20"):
        checkpoint.restore_latest(tmp_path, TARGET)


def test_an_unfinished_save_is_ignored_and_removed(tmp_path):
    save_steps(tmp_path, 10)
    shutil.copytree(tmp_path / "10", tmp_path / "20.orbax-checkpoint-tmp-123")
    assert checkpoint.steps_on_disk(tmp_path) == [10]
    assert int(checkpoint.restore_latest(tmp_path, TARGET)[0].step) == 10
    with checkpoint.open_checkpoints(tmp_path) as manager:
        assert manager.latest_step() == 10
    assert [p.name for p in tmp_path.iterdir()] == ["10"]


def test_a_run_that_went_back_can_save_the_damaged_steps_again(tmp_path):
    save_steps(tmp_path, 10, 20)
    overwrite_64_bytes(tmp_path / "20" / "state")
    state, _ = checkpoint.restore_latest(tmp_path, TARGET, warn=lambda text: None)
    checkpoint_folder.quarantine_newer(tmp_path, int(state.step))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["10", "20.damaged"]
    save_steps(tmp_path, 15, 20)
    assert checkpoint.steps_on_disk(tmp_path) == [20, 15]
    assert checkpoint.digest(checkpoint.restore_step(tmp_path, 20, TARGET)[0]) == checkpoint.digest(
        make_state(20, 20.0)
    )


RECORD = {"totals": {"loss": (3.0, 2.0)}, "best": {"metric": "eval/loss", "value": 0.5, "step": 10}, "name": "ä"}


@pytest.mark.parametrize(
    "change",
    [
        lambda run: {**run, "totals": {"loss": [9.0, 6.0]}},
        lambda run: {**run, "best": {**run["best"], "value": -1.0}},
        lambda run: {**run, "name": "a"},
        lambda run: {**run, "more": None},
        lambda run: {key: run[key] for key in run if key != "signature"},
        lambda run: {key: run[key] for key in run if key != "format"},
        lambda run: {**run, "format": 1},
        lambda run: {**run, "format": "2"},
        lambda run: {**run, "digest": 5},
        lambda run: {**{key: run[key] for key in run if key not in NEW}, "totals": {"loss": "three"}},
        lambda run: {**{key: run[key] for key in run if key not in NEW}, "best": []},
        lambda run: [],
    ],
)
def test_changed_json_is_damage_and_the_older_checkpoint_is_taken(two_checkpoints, tmp_path, change):
    shutil.copytree(two_checkpoints, tmp_path, dirs_exist_ok=True)
    rewrite_json(tmp_path / "20", change)
    with pytest.raises(UserError, match=r"Checkpoint 20 .* is (damaged|incomplete)"):
        checkpoint.restore_step(tmp_path, 20, TARGET)
    said = []
    state, run = checkpoint.restore_latest(tmp_path, TARGET, warn=said.append)
    assert int(state.step) == 10
    assert run["totals"] == {"loss": [3.0, 2.0]}
    assert len(said) == 1


@pytest.fixture(scope="module")
def two_checkpoints(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    save_steps(folder, 10, 20, record=RECORD)
    return folder


def test_a_checkpoint_from_before_there_were_signatures_opens(two_checkpoints, tmp_path):
    shutil.copytree(two_checkpoints, tmp_path, dirs_exist_ok=True)
    rewrite_json(tmp_path / "20", lambda run: {key: run[key] for key in run if key not in NEW})
    assert checkpoint.restore_step(tmp_path, 20, TARGET)[1]["totals"] == {"loss": [3.0, 2.0]}


def test_a_checkpoint_of_a_later_version_is_said_to_be_one(two_checkpoints, tmp_path):
    shutil.copytree(two_checkpoints, tmp_path, dirs_exist_ok=True)
    rewrite_json(tmp_path / "20", lambda run: {**run, "format": 3})
    with pytest.raises(UserError, match="later version of jaxgen"):
        checkpoint.restore_step(tmp_path, 20, TARGET)


def test_a_checkpoint_under_another_number_or_with_links_in_it_is_refused(two_checkpoints, tmp_path):
    shutil.copytree(two_checkpoints, tmp_path, dirs_exist_ok=True)
    (tmp_path / "20").rename(tmp_path / "30")
    with pytest.raises(UserError, match=r"Checkpoint 30 .* is damaged"):
        checkpoint.restore_step(tmp_path, 30, TARGET)
    largest = max((tmp_path / "10" / "state").rglob("*"), key=lambda path: path.stat().st_size)
    largest.rename(tmp_path / "elsewhere")
    largest.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=r"Checkpoint 10 .* no regular file"):
        checkpoint.restore_step(tmp_path, 10, TARGET)


def test_what_only_looks_like_a_checkpoint_is_passed_over(two_checkpoints, tmp_path):
    shutil.copytree(two_checkpoints, tmp_path, dirs_exist_ok=True)
    for name in ("\u00b2", "007", "1.damaged", "\uff15", "step_9", "40_50", "-3"):
        shutil.copytree(two_checkpoints / "10", tmp_path / name)
    (tmp_path / "99").write_text("a file")
    (tmp_path / "98").symlink_to(tmp_path / "10")
    before = {path.name for path in tmp_path.iterdir()}
    assert checkpoint.steps_on_disk(tmp_path) == [20, 10]
    with checkpoint.open_checkpoints(tmp_path, keep=2) as manager:
        assert manager.latest_step() == 20
        checkpoint.save(manager, make_state(25, 25.0), RECORD)
    assert {path.name for path in tmp_path.iterdir()} == before - {"10"} | {"25"}


# ---------------------------------------------------------------- what is kept


def test_the_last_n_are_kept(tmp_path):
    save_steps(tmp_path, 2, 4, 6, 8, keep=3)
    assert checkpoint.steps_on_disk(tmp_path) == [8, 6, 4]


def test_every_mth_is_kept_besides(tmp_path):
    save_steps(tmp_path, *range(2, 22, 2), keep=2, keep_every=6)
    assert checkpoint.steps_on_disk(tmp_path) == [20, 18, 12, 6]


def test_steps_are_sorted_as_numbers(tmp_path):
    for name in ("9", "10", "100", "notes"):
        (tmp_path / name).mkdir()
    assert checkpoint.steps_on_disk(tmp_path) == [100, 10, 9]


# ---------------------------------------------------------------- weights alone


def test_weights_are_read_whatever_the_optimizer_was(tmp_path):
    save_steps(tmp_path, 10)
    found = checkpoint.restore_weights(tmp_path, 10)
    assert {name: sorted(leaves) for name, leaves in found.items()} == {
        "params": ["net/b", "net/w"],
        "model_state": ["counts"],
        "ema_params": ["net/b", "net/w"],
    }
    np.testing.assert_array_equal(found["params"]["net/w"], np.full((64, 64), 10.0, np.float32))
    assert found["params"]["net/b"].dtype == jnp.bfloat16
    np.testing.assert_array_equal(found["model_state"]["counts"], np.arange(5))


def test_damaged_weights_and_those_without_a_digest_are_refused(tmp_path):
    save_steps(tmp_path, 10, 20)
    overwrite_64_bytes(tmp_path / "20" / "state")
    with pytest.raises(UserError, match=r"Checkpoint 20 .* (is damaged|cannot be read)"):
        checkpoint.restore_weights(tmp_path, 20)
    rewrite_json(tmp_path / "10", lambda run: {key: run[key] for key in run if key not in (*NEW, "weights_digest")})
    with pytest.raises(UserError, match="earlier version of jaxgen"):
        checkpoint.restore_weights(tmp_path, 10)


def test_what_ends_after_its_event_loop_is_not_shown_and_other_errors_are(monkeypatch):
    shown = []
    monkeypatch.setattr(sys, "unraisablehook", shown.append)
    checkpoint_folder.ignore_late_ends.__wrapped__()
    for error in (RuntimeError("Event loop is closed"), RuntimeError("another"), KeyError("Event loop is closed")):
        sys.unraisablehook(SimpleNamespace(exc_value=error, object=None))
    dropped = SimpleNamespace(cr_code=SimpleNamespace(co_filename=ocp.__file__))
    sys.unraisablehook(SimpleNamespace(exc_value=ValueError(), object=dropped))
    assert [repr(what.exc_value) for what in shown] == ["RuntimeError('another')", "KeyError('Event loop is closed')"]


def test_of_the_log_of_asyncio_just_late_ends_are_left_out(caplog):
    checkpoint_folder.ignore_late_ends()
    end = "Task exception was never retrieved\nfuture: <Task exception=ValueError('{}')>"
    for text in (end.format("tensorstore_spec"), end.format("TensorStore"), end.format("mine")):
        logging.getLogger("asyncio").error(text)
    assert [record.getMessage() for record in caplog.records] == [end.format("mine")]


def test_weights_that_declare_more_than_the_limit_are_refused_before_they_are_read(tmp_path, monkeypatch):
    manager = checkpoint.open_checkpoints(tmp_path / "run" / "checkpoints")
    state = make_state(5, 5.0)
    checkpoint.save(manager, state.replace(params={"bomb": jnp.zeros((2**10, 2**10))}), {})  # its files are small
    manager.close()
    monkeypatch.setenv("JAXGEN_MAX_MEGABYTES", "3")
    with pytest.raises(UserError, match=r"would take 5 MB of memory, and the limit is 3 MB"):
        checkpoint.restore_weights(tmp_path / "run" / "checkpoints", 5)
    monkeypatch.setenv("JAXGEN_MAX_MEGABYTES", "8")
    assert checkpoint.restore_weights(tmp_path / "run" / "checkpoints", 5)["params"]["bomb"].shape == (2**10, 2**10)
