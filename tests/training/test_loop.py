"""The training loop, in process: events, resuming, failing, streaming, weights of another run."""

import dataclasses
import json
import re
from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import file_digests, overwrite_64_bytes, tiny_config
from tiny import streamed, tiny_classifier, tiny_images, tiny_mlp_gan

from jaxgen.core.errors import RunFailed, UserError
from jaxgen.data import example_batch, scale_images
from jaxgen.models.augmentation import adaptive_augmentation
from jaxgen.models.gan.spec import GAN
from jaxgen.networks.mlp import MLPDiscriminator, MLPGenerator
from jaxgen.training import checkpoint, run_folder
from jaxgen.training.loop import train
from jaxgen.training.parallel import device_mesh
from jaxgen.training.run_setup import load_pretrained_weights, with_sharding

MODEL = tiny_mlp_gan()
DATA = tiny_images()


def digest(result):
    return checkpoint.digest(result.state)


def lines_without_speed(run_dir):
    lines = run_folder.read_metrics(run_dir)
    return [{k: v for k, v in line.items() if not k.startswith("speed/")} for line in lines]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """8 steps in one go."""
    return train(MODEL, DATA, tiny_config(tmp_path_factory.mktemp("whole") / "run"))


def test_a_run_leaves_the_files_that_are_documented(whole):
    documented = set(re.findall(r"^    ([\w.]+)", run_folder.__doc__, re.MULTILINE))
    assert {p.name for p in whole.run_dir.iterdir()} == {
        *("config.json", "data.json", "metrics.jsonl", "tensorboard", "samples", "progress.gif", "losses.png"),
        "checkpoints",
    }
    assert {p.name for p in whole.run_dir.iterdir()} <= documented
    assert {p.name for p in (whole.run_dir / "samples").iterdir()} == {f"step_{i:07d}.png" for i in (0, 4, 8)}
    assert checkpoint.steps_on_disk(whole.run_dir / "checkpoints") == [8, 4]


def test_lines_stand_where_they_are_due(whole):
    lines = run_folder.read_metrics(whole.run_dir)
    assert [line["step"] for line in lines if "generator/loss" in line] == [2, 4, 6, 8]
    assert [line["step"] for line in lines if "eval/discriminator/loss" in line] == [8]  # eval_every 0: at the end
    assert int(whole.state.step) == 8
    assert whole.stopped_by is None


def test_tensorboard_files_can_be_read(whole):
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.record_writer import RecordWriter  # noqa: F401  (the format of the file)

    (path,) = (whole.run_dir / "tensorboard").glob("events.*")
    content, values = path.read_bytes(), {}
    while content:  # records of uint64 length, 4 bytes of checksum, the event, 4 bytes of checksum
        size = int.from_bytes(content[:8], "little")
        event = Event.FromString(content[12 : 12 + size])
        content = content[12 + size + 4 :]
        for value in event.summary.value:
            values.setdefault(value.tag, {})[event.step] = value.simple_value
    lines = [line for line in run_folder.read_metrics(whole.run_dir) if "generator/loss" in line]
    assert values["generator/loss"] == pytest.approx({line["step"]: line["generator/loss"] for line in lines})


@pytest.mark.parametrize(
    "options", [{"steps_per_dispatch": 1}, {"steps_per_dispatch": 3, "log_every": 5}, {"devices": 1}]
)
def test_bits_do_not_depend_on_reports_and_dispatches(whole, tmp_path, options):
    assert digest(train(MODEL, DATA, tiny_config(tmp_path / "run", **options))) == digest(whole)


@pytest.mark.parametrize("stop", [4, 5])
def test_a_resumed_run_ends_in_the_same_bits_with_the_same_lines(whole, tmp_path, stop):
    config = tiny_config(tmp_path / "run", steps=stop)
    assert digest(train(MODEL, DATA, config)) != digest(whole)
    config = config.replace(resume=True, steps=8)
    resumed = train(MODEL, DATA, config)
    assert digest(resumed) == digest(whole)
    # A run that ended at `stop` has its last line and evaluation there: compare the lines after it and before it.
    expected, actual = lines_without_speed(whole.run_dir), lines_without_speed(resumed.run_dir)
    if stop == 4:
        actual = [line for line in actual if not (line["step"] == stop and "eval/discriminator/loss" in line)]
        assert actual == expected
    else:
        assert actual[:2] == expected[:2]
        assert actual[-2:] == expected[-2:]


def test_a_killed_run_loses_its_later_lines_and_writes_them_again(whole, tmp_path):
    """Resume a run as SIGKILL leaves it: lines and a sheet after the last checkpoint, half a line, half a save."""
    run_dir = tmp_path / "run"
    train(MODEL, DATA, tiny_config(run_dir))
    import shutil

    shutil.move(run_dir / "checkpoints" / "8", run_dir / "checkpoints" / "8.orbax-checkpoint-tmp-1")
    with (run_dir / "metrics.jsonl").open("a") as file:
        file.write('{"step": 9, "gener')
    resumed = train(MODEL, DATA, tiny_config(run_dir, resume=True))
    assert digest(resumed) == digest(whole)
    assert lines_without_speed(run_dir) == lines_without_speed(whole.run_dir)
    assert sorted(p.name for p in (run_dir / "checkpoints").iterdir()) == ["4", "8"]


@pytest.mark.parametrize("damaged", [6, 8])
def test_a_run_with_a_damaged_checkpoint_goes_back_and_ends_in_the_same_bits(whole, tmp_path, capsys, damaged):
    run_dir = tmp_path / "run"
    train(MODEL, DATA, tiny_config(run_dir, steps=damaged))
    folder = run_dir / "checkpoints" / str(damaged)
    overwrite_64_bytes(folder / "state")
    resumed = train(MODEL, DATA, tiny_config(run_dir, resume=True))
    assert "Going back to checkpoint 4" in capsys.readouterr().out
    assert digest(resumed) == digest(whole)
    # What is on disk is the same, and not the damaged arrays beside a digest that is theirs no more.
    target = with_sharding(jax.eval_shape(lambda: whole.state), device_mesh(1))
    on_disk, _ = checkpoint.restore_step(run_dir / "checkpoints", 8, target)
    assert checkpoint.digest(on_disk) == digest(whole)


def test_a_finished_run_is_not_resumed(whole):
    before = file_digests(whole.run_dir)
    with pytest.raises(UserError, match="already has its 8 steps"):
        train(MODEL, DATA, tiny_config(whole.run_dir, resume=True))
    assert file_digests(whole.run_dir) == before


@pytest.mark.slow
def test_a_resumed_run_may_take_other_devices_and_says_so(tmp_path, capsys):
    config = tiny_config(tmp_path / "run", steps=4)
    train(MODEL, DATA, config)
    train(MODEL, DATA, config.replace(resume=True, steps=5))
    assert "elsewhere" not in capsys.readouterr().out
    resumed = train(MODEL, DATA, config.replace(resume=True, steps=6, devices=8))
    assert int(resumed.state.step) == 6
    assert len(jax.tree.leaves(resumed.state.params)[0].sharding.device_set) == 8
    assert "not to the same bits as without a stop: devices 1 before and 8 now." in capsys.readouterr().out


def test_a_run_that_goes_on_with_other_libraries_or_cores_says_so(tmp_path, capsys):
    config = tiny_config(tmp_path / "run", steps=4)
    train(MODEL, DATA, config)
    path = config.run.run_dir / "config.json"
    record = json.loads(path.read_text())
    cores = record["machine"]["cores"]
    record["versions"]["jax"], record["machine"]["cores"] = "0.9", 1_000
    path.write_text(json.dumps(record))
    train(MODEL, DATA, config.replace(resume=True, steps=5))
    assert f"jax 0.9 before and {jax.__version__} now, cores 1000 before and {cores} now." in capsys.readouterr().out


# ---------------------------------------------------------------- streaming


def test_a_streamed_set_trains_and_resumes_to_the_same_bits(tmp_path):
    data = streamed(DATA)
    straight = train(MODEL, data, tiny_config(tmp_path / "a"))
    train(MODEL, data, tiny_config(tmp_path / "b", steps=5, steps_per_dispatch=2))
    resumed = train(MODEL, data, tiny_config(tmp_path / "b", resume=True, steps_per_dispatch=3))
    assert digest(resumed) == digest(straight)
    assert np.isfinite(straight.metrics["generator/loss"])


@pytest.mark.slow
def test_a_streamed_set_is_shared_by_devices(tmp_path):
    results = [train(MODEL, streamed(DATA), tiny_config(tmp_path / str(n), steps=4, devices=n)).metrics for n in (1, 2)]
    for name in ("generator/loss", "discriminator/loss"):
        assert results[0][name] == pytest.approx(results[1][name], rel=1e-4)


# ---------------------------------------------------------------- failing


def poisoned(batch):
    """The images, with not-a-number in place of the one image that is white."""
    batch = scale_images(batch)
    white = jnp.all(batch["image"] > 0.999, axis=(1, 2, 3), keepdims=True)
    return {**batch, "image": jnp.where(white, jnp.nan, batch["image"])}


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_good_checkpoint(whole, tmp_path):
    data = tiny_images(examples=200)
    data.train["image"][:] = np.minimum(data.train["image"], 254)
    from jaxgen.data import epoch_order

    words = jax.random.key_data(whole.state.key).reshape(-1)[:2]  # the run's key follows from the seed alone
    batch_of_step_6 = epoch_order(words, jnp.arange(6 * 16, 7 * 16, dtype=jnp.uint32), 200)
    data.train["image"][int(batch_of_step_6[3])] = 255
    data = dataclasses.replace(data, prepare=poisoned, test=None)
    with pytest.raises(RunFailed, match=r"discriminator/loss.* at step 7 is not finite.*step 4") as failed:
        train(MODEL, data, tiny_config(tmp_path / "run", steps=20))
    assert failed.value.exit_code == 1
    assert checkpoint.steps_on_disk(tmp_path / "run" / "checkpoints") == [4]
    text = (tmp_path / "run" / "metrics.jsonl").read_text()
    assert "NaN" not in text
    assert [line["step"] for line in run_folder.read_metrics(tmp_path / "run")] == [2, 4, 6]


def test_a_learning_rate_that_is_far_too_large_stops_the_run(tmp_path):
    with pytest.raises(RunFailed, match="not finite"):
        train(tiny_mlp_gan(1e38), DATA, tiny_config(tmp_path / "run", steps=20))
    assert all(np.isfinite(list(line.values())).all() for line in run_folder.read_metrics(tmp_path / "run"))


# ---------------------------------------------------------------- weights of another run, the best checkpoint


def test_init_from_takes_weights_and_starts_anew(whole, tmp_path):
    before = file_digests(whole.run_dir)
    seen = {}
    spy = MODEL._replace(sample=lambda state, key, n: seen.setdefault("x", MODEL.sample(state, key, n)))
    result = train(spy, DATA, tiny_config(tmp_path / "run", init_from=whole.run_dir, seed=5, steps=1))
    assert file_digests(whole.run_dir) == before
    assert int(result.state.step) == 1
    first, sheets = (tmp_path / "run" / "samples" / "step_0000000.png"), whole.run_dir / "samples"
    assert first.read_bytes() != (sheets / "step_0000000.png").read_bytes()
    old = jax.tree.leaves(whole.state.params)
    new = jax.tree.leaves(result.state.params)
    assert max(float(jnp.abs(a - b).max()) for a, b in zip(old, new, strict=True)) < 0.05  # one step away


def test_init_from_takes_weights_of_a_run_with_another_optimizer_average_and_augmentation(whole):
    model = GAN(
        MLPGenerator((8, 8, 1), widths=(16, 32)),
        MLPDiscriminator(widths=(32, 16)),
        latent_size=6,
        generator_optimizer=optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(1e-2)),
        discriminator_optimizer=optax.adam(optax.linear_schedule(1e-2, 0.0, 10)),
        augmentation=adaptive_augmentation(),
    ).model()
    new = model.init(jax.random.key(3), example_batch(DATA, 2))
    taken = load_pretrained_weights(new, whole.run_dir)
    chex.assert_trees_all_equal(taken.params, whole.state.params)
    chex.assert_trees_all_equal(taken.ema_params, whole.state.ema_params)
    chex.assert_trees_all_equal(taken.opt_state, new.opt_state)
    chex.assert_trees_all_equal(taken.model_state["augmentation"], new.model_state["augmentation"])


def test_networks_that_stay_as_they_are_come_from_the_options_of_the_new_run(tmp_path):
    def with_frozen(value):
        def init(key, batch):
            state = MODEL.init(key, batch)
            return state.replace(model_state={**state.model_state, "frozen": {"style": jnp.full(3, value)}})

        return MODEL._replace(init=init)

    old = train(with_frozen(1.0), DATA, tiny_config(tmp_path / "run", steps=1))
    new = with_frozen(2.0).init(jax.random.key(3), example_batch(DATA, 2))
    taken = load_pretrained_weights(new, old.run_dir)
    np.testing.assert_array_equal(taken.model_state["frozen"]["style"], 2.0)
    chex.assert_trees_all_equal(taken.params, old.state.params)


def test_an_average_begins_with_the_weights_of_a_run_that_had_none(tmp_path):
    without = train(tiny_mlp_gan(ema_decay=None), DATA, tiny_config(tmp_path / "run", steps=2))
    assert without.state.ema_params == {}
    taken = load_pretrained_weights(MODEL.init(jax.random.key(3), example_batch(DATA, 2)), without.run_dir)
    chex.assert_trees_all_equal(taken.ema_params["generator"], without.state.params["generator"])


def test_init_from_refuses_what_does_not_fit(whole, tmp_path):
    with pytest.raises(UserError, match="not the folder of a run"):
        train(MODEL, DATA, tiny_config(tmp_path / "run", init_from=tmp_path))
    with pytest.raises(UserError, match="other network settings"):
        train(tiny_classifier(), DATA, tiny_config(tmp_path / "run", init_from=whole.run_dir))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("best_is", [pytest.param("max", marks=pytest.mark.slow), "min"])
def test_the_best_checkpoint_is_kept_over_a_resume(tmp_path, best_is):
    options = {"eval_every": 1, "best_metric": "eval/discriminator/loss", "best_is": best_is, "sample_every": 0}
    run_dir = tmp_path / "run"
    train(MODEL, DATA, tiny_config(run_dir, steps=6, **options))
    train(MODEL, DATA, tiny_config(run_dir, steps=12, resume=True, **options))
    values = {
        line["step"]: line["eval/discriminator/loss"]
        for line in run_folder.read_metrics(run_dir)
        if "eval/discriminator/loss" in line
    }
    best = (max if best_is == "max" else min)(values, key=values.get)
    assert checkpoint.steps_on_disk(run_dir / "checkpoints_best") == [best]
    assert checkpoint.steps_on_disk(run_dir / "checkpoints") == [12, 8]


def test_without_held_out_examples_no_best_checkpoint_is_kept_and_that_is_said(tmp_path, capsys):
    data = dataclasses.replace(DATA, test=None)
    options = {"eval_every": 1, "best_metric": "eval/discriminator/loss", "steps": 1}
    train(MODEL, data, tiny_config(tmp_path / "run", **options))
    assert "has no held-out examples to choose a best checkpoint by" in capsys.readouterr().out
    assert not (tmp_path / "run" / "checkpoints_best").exists()


def test_a_best_metric_that_does_not_exist_is_refused_by_name(tmp_path):
    config = tiny_config(tmp_path / "run", eval_every=1, best_metric="eval/charm")
    with pytest.raises(UserError, match=r"eval/charm is not among .*eval/discriminator/loss"):
        train(MODEL, DATA, config)


def test_a_run_without_reports_keeps_its_last_state(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    nothing = {"log_every": 0, "sample_every": 0, "checkpoint_every": 0}
    result = train(MODEL, DATA, tiny_config(None, steps=3, **nothing))
    assert result.run_dir == Path("runs/tiny/001")
    assert checkpoint.steps_on_disk(result.run_dir / "checkpoints") == [3]
