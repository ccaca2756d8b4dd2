"""The folder of a run: numbers, what is refused, what is cut back."""

import json
import shutil

import pytest
from helpers import file_digests

from jaxgen.core.errors import UserError
from jaxgen.training import run_folder


def make_run(folder, **config):
    folder.mkdir(parents=True)
    run_folder.write_json(folder / "config.json", {"config": config})
    return folder


def test_runs_are_numbered_from_001(tmp_path):
    root = tmp_path / "runs" / "x"
    assert [run_folder.create(None, root, overwrite=False).name for _ in range(3)] == ["001", "002", "003"]


def test_numbers_continue_after_the_highest(tmp_path):
    for name in ("002", "041", "notes", "999x"):
        (tmp_path / name).mkdir()
    assert run_folder.next_free(tmp_path).name == "042"
    assert [p.name for p in run_folder.numbered_runs(tmp_path)] == ["002", "041", "042"]


def test_runs_of_more_than_three_digits_stay_in_order(tmp_path):
    for name in ("999", "1000"):
        make_run(tmp_path / name)
    assert run_folder.find(None, tmp_path).name == "1000"
    assert run_folder.next_free(tmp_path).name == "1001"


def test_an_empty_folder_may_become_a_run(tmp_path):
    (tmp_path / "a").mkdir()
    assert run_folder.create(tmp_path / "a", tmp_path, overwrite=False) == tmp_path / "a"
    assert run_folder.create(tmp_path / "b" / "c", tmp_path, overwrite=False).is_dir()


def test_an_existing_run_is_not_touched(tmp_path):
    run = make_run(tmp_path / "a")
    before = file_digests(run)
    with pytest.raises(UserError, match=r"exists.*--resume.*--overwrite"):
        run_folder.create(run, tmp_path, overwrite=False)
    assert file_digests(run) == before


def test_overwrite_replaces_a_run_and_leaves_files_of_others(tmp_path):
    run = make_run(tmp_path / "a")
    (run / "checkpoints" / "5").mkdir(parents=True)
    (run / "metrics.jsonl").write_text("{}\n")
    (run / "my_notes.txt").write_text("kept")
    (run / "samples").mkdir()
    for name in ("step_0000010.png", "step_1_copy.png", "photo.png"):
        (run / "samples" / name).write_text("picture")
    assert run_folder.create(run, tmp_path, overwrite=True) == run
    run_folder.clear(run)
    assert sorted(p.name for p in (run / "samples").iterdir()) == ["photo.png", "step_1_copy.png"]
    shutil.rmtree(run / "samples")
    assert [p.name for p in run.iterdir()] == ["my_notes.txt"]


def test_overwrite_refuses_a_folder_that_is_no_run(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").write_bytes(b"precious")
    before = file_digests(tmp_path)
    with pytest.raises(UserError, match=r"only the folder of a run.*config\.json"):
        run_folder.create(tmp_path / "photos", tmp_path, overwrite=True)
    assert file_digests(tmp_path) == before


def test_a_file_is_no_run_folder(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="is a file"):
        run_folder.create(tmp_path / "file", tmp_path, overwrite=True)
    with pytest.raises(UserError, match="cannot be made"):
        run_folder.create(tmp_path / "file" / "below", tmp_path, overwrite=False)


def test_the_run_to_resume_is_the_latest_or_the_one_named(tmp_path):
    for name in ("001", "002"):
        make_run(tmp_path / name)
    (tmp_path / "003").mkdir()  # stopped before it had a config
    assert run_folder.find(None, tmp_path) == tmp_path / "002"
    assert run_folder.find(tmp_path / "001", tmp_path) == tmp_path / "001"


def test_nothing_to_resume_is_said(tmp_path):
    with pytest.raises(UserError, match="no run to resume"):
        run_folder.find(None, tmp_path / "none")
    with pytest.raises(UserError, match="no run to resume"):
        run_folder.find(tmp_path, tmp_path)


def test_json_is_replaced_as_a_whole(tmp_path):
    run_folder.write_json(tmp_path / "a.json", {"x": 1})
    run_folder.write_json(tmp_path / "a.json", {"x": 2})
    assert json.loads((tmp_path / "a.json").read_text()) == {"x": 2}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("damage", ["", "{", '{"config": ', "\x00\x01", "[1, 2]", '"text"', "{}"])
def test_a_damaged_config_is_refused_in_one_sentence(tmp_path, damage):
    run = make_run(tmp_path / "a")
    (run / "config.json").write_text(damage)
    with pytest.raises(UserError, match=r"config\.json is damaged"):
        run_folder.read_record(run)


def test_bytes_that_are_no_text_are_a_damaged_config(tmp_path):
    run = make_run(tmp_path / "a")
    (run / "config.json").write_bytes(b"\xff\xfe\x80")
    with pytest.raises(UserError, match=r"config\.json is damaged"):
        run_folder.read_record(run)


def test_truncation_drops_later_lines_and_half_lines(tmp_path):
    lines = [{"step": step, "loss": 1 / step} for step in (5, 10, 15)]
    text = "".join(json.dumps(line) + "\n" for line in lines) + '{"step": 7, "lo'
    (tmp_path / "metrics.jsonl").write_text(text)
    (tmp_path / "samples").mkdir()
    for step in (0, 10, 15):
        (tmp_path / "samples" / f"step_{step:07d}.png").write_bytes(b"")
    (tmp_path / "samples" / "step_best.png").write_bytes(b"")
    run_folder.truncate_after(tmp_path, 10)
    assert run_folder.read_metrics(tmp_path) == lines[:2]
    kept = {"step_0000000.png", "step_0000010.png", "step_best.png"}
    assert {p.name for p in (tmp_path / "samples").iterdir()} == kept


def test_truncation_to_step_0_leaves_no_lines(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 5}\nnonsense\n')
    run_folder.truncate_after(tmp_path, 0)
    assert run_folder.read_metrics(tmp_path) == []
    run_folder.truncate_after(tmp_path / "nowhere", 0)
