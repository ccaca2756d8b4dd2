"""A disk that takes no more: one sentence, exit code 1, and the last good checkpoint whole."""

import errno
import logging
import os
import re
import threading

import jax
import pytest
from command_lines import assert_refused, train
from test_checkpoint import TARGET, make_state

from jaxgen.core import files
from jaxgen.core.errors import RunFailed
from jaxgen.runs import experiment
from jaxgen.training import checkpoint
from jaxgen.training.checkpoint_folder import disk_faults, run_failed
from jaxgen.training.run_folder import next_free


def full_disk(*arguments, **options):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_checkpoint_that_cannot_be_written_ends_the_run_and_the_one_before_stays(tmp_path, monkeypatch, caplog):
    folder = tmp_path / "run" / "checkpoints"
    folder.parent.mkdir()
    threads = set(threading.enumerate())
    manager = checkpoint.open_checkpoints(folder, keep=1)
    checkpoint.save(manager, make_state(5, 5.0), {})
    manager.wait_until_finished()
    monkeypatch.setattr("orbax.checkpoint.JsonCheckpointHandler.async_save", full_disk)
    with caplog.at_level(logging.ERROR), pytest.raises(RunFailed) as caught:
        save_whole(manager)
    manager.close()  # says nothing more
    monkeypatch.undo()
    for thread in set(threading.enumerate()) - threads:  # the process would wait for them at its end
        thread.join(5)
        assert thread.daemon or not thread.is_alive()
    assert re.search(r"checkpoint could not be written \(.*the disk is full\)", str(caught.value))
    assert f"last good checkpoint is step 5 in {tmp_path / 'run'}" in str(caught.value)
    assert not [record for record in caplog.records if "Traceback" in record.getMessage()]
    state, _ = checkpoint.restore_latest(folder, TARGET)
    assert checkpoint.digest(state) == checkpoint.digest(make_state(5, 5.0))


def test_what_the_system_says_of_files_is_one_sentence(tmp_path):
    (tmp_path / "checkpoints" / "40").mkdir(parents=True)
    with pytest.raises(RunFailed) as caught, disk_faults(tmp_path):
        full_disk()
    assert "the disk is full" in str(caught.value)
    assert f"step 40 in {tmp_path}" in str(caught.value)
    assert f"--resume {tmp_path}" in str(caught.value)
    assert "'a b'" in str(run_failed(tmp_path / "a b", "x")) or "No checkpoint" in str(
        run_failed(tmp_path / "a b", "x")
    )


def save_whole(manager):
    checkpoint.save(manager, make_state(6, 6.0), {})
    manager.wait_until_finished()


@pytest.mark.parametrize("broken", ["write_atomically", "moved_into", "open_for_append", "replacing"])
def test_a_run_whose_disk_is_full_fails_in_one_sentence(tmp_path, monkeypatch, broken):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(files, broken, full_disk)
    code = 2 if broken in ("write_atomically", "replacing") else 1  # config.json comes before the start
    assert_refused(train("--devices", 1, "--steps", 2), "the disk is full", code=code)
    assert not list(tmp_path.rglob(".lock"))


def test_runs_that_is_a_file_is_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").write_text("")
    assert_refused(train("--devices", 1, "--steps", 2), "runs.* a part of the path is a file, not a folder")
    with pytest.raises(Exception, match="not a folder"):
        next_free(tmp_path / "runs")


def test_no_compile_cache_is_used_where_none_can_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    before = jax.config.jax_compilation_cache_dir
    try:
        jax.config.update("jax_compilation_cache_dir", None)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
        experiment._use_compile_cache()
        assert jax.config.jax_compilation_cache_dir is None
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        experiment._use_compile_cache()
        assert jax.config.jax_compilation_cache_dir == str(tmp_path / "cache" / "jaxgen" / "xla")
    finally:
        jax.config.update("jax_compilation_cache_dir", before)
