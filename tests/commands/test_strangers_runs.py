"""A run folder may come from anybody: it runs no code, and nothing is written or removed through its links."""

import errno
import json
import os
import py_compile
import shutil
import time

import pytest
import tiny_experiment
from command_lines import assert_refused, command, train
from helpers import file_digests

from jaxgen.core.errors import UserError
from jaxgen.runs.experiment_loading import load_experiment
from jaxgen.runs.opened_run import open_run
from jaxgen.training import trusted
from jaxgen.training.run_lock import lock_run


@pytest.fixture
def state_home(tmp_path_factory, monkeypatch):
    """What this person has trained with: nothing."""
    folder = tmp_path_factory.mktemp("state")
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    return folder


def change_record(run, **values):
    path = run / "config.json"
    record = json.loads(path.read_text())
    record["experiment"] |= values
    path.write_text(json.dumps(record))


def plant(run, here):
    """Adds a line to the run's program that leaves a file when it is run."""
    trap = here / "was_run"
    program = run / "experiment.py"
    program.write_text(f"open({str(trap)!r}, 'w').close()\n" + program.read_text())
    return trap


# ---------------------------------------------------------------- code


def test_a_program_that_is_not_known_is_not_run(tiny_copy, here, state_home):
    trap = plant(tiny_copy, here)
    for arguments in (("info", tiny_copy), ("sample", tiny_copy), ("evaluate", tiny_copy)):
        assert_refused(command(*arguments), r"experiment\.py would have to be run.*--experiment FILE.*--trust")
    assert not trap.exists()
    code, _, err = command("info", tiny_copy, "--trust")
    assert (code, err) == (0, "")
    assert trap.exists()
    trap.unlink()
    assert command("info", tiny_copy)[0] == 0  # remembered
    program = tiny_copy / "experiment.py"
    program.write_text(program.read_text() + "\n")
    trap.unlink()
    assert_refused(command("info", tiny_copy), "would have to be run")  # another program
    assert not trap.exists()


def test_the_file_that_is_named_is_run_in_place_of_the_copy(tiny_copy, here, state_home):
    trap = plant(tiny_copy, here)
    code, out, _ = command("info", tiny_copy, "--experiment", tiny_experiment.__file__)
    assert code == 0
    assert "tiny_experiment" in out
    assert not trap.exists()
    assert_refused(command("info", tiny_copy, "--experiment", here / "none.py"), r"none\.py cannot be read")
    (here / "text.py").write_text("this is prose.\n")
    assert_refused(command("info", tiny_copy, "--experiment", here / "text.py"), r"text\.py is no file of Python")
    (here / "empty.py").write_text("")
    assert_refused(command("info", tiny_copy, "--experiment", here / "empty.py"), r"defines no jaxgen\.Experiment")


def test_ones_own_training_makes_its_file_known(tiny_copy, state_home):
    content = (tiny_copy / "experiment.py").read_bytes()
    assert not trusted.is_known(content)
    trusted.remember(content)
    store = state_home / "jaxgen" / "trusted"
    assert store.stat().st_mode & 0o777 == 0o600
    assert command("info", tiny_copy)[0] == 0
    trusted.remember(content)
    assert len(store.read_text().split()) == 1
    store.chmod(0o666)  # others may write it: it says nothing
    assert not trusted.is_known(content)


def test_where_nothing_can_be_remembered_nothing_fails(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    trusted.remember(b"program")
    assert not trusted.is_known(b"program")
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setattr("pathlib.Path.home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    trusted.remember(b"program")
    assert not trusted.is_known(b"program")


def test_a_compiled_copy_beside_a_known_program_is_not_run(tiny_copy, here):
    """Python would take __pycache__/experiment.*.pyc of the right time and size in its place."""
    program = tiny_copy / "experiment.py"
    text, trap = program.read_text(), here / "was_run"
    program.write_text(f"open({str(trap)!r}, 'w').close()\n".ljust(len(text) - 1, "#") + "\n")
    stamp = time.time() - 100
    os.utime(program, (stamp, stamp))
    py_compile.compile(str(program))
    program.write_text(text)
    os.utime(program, (stamp, stamp))
    assert command("info", tiny_copy)[0] == 0
    assert not trap.exists()


@pytest.mark.parametrize(
    "module",
    ["os", "antigravity", "jaxgen.experiments", "jaxgen.experiments._gan", "jaxgen.experiments.mnist_gan.x", ""],
)
def test_only_experiments_of_the_package_are_imported_by_name(tiny_copy, module):
    change_record(tiny_copy, module=module)
    assert_refused(command("info", tiny_copy), "none of the experiments of this version")
    with pytest.raises(UserError, match="none of the experiments"):
        load_experiment(module, None)


def test_a_package_experiment_takes_no_file(tiny_copy):
    change_record(tiny_copy, module="jaxgen.experiments.mnist_gan", name="mnist_gan")
    assert_refused(command("info", tiny_copy, "--experiment", tiny_experiment.__file__), "leave out --experiment")


def test_a_file_run_by_itself_resumes_with_its_own_program(tiny_copy, here, state_home):
    """`python my_file.py --resume RUN` never runs the copy in RUN, and remembers its own."""
    trap = plant(tiny_copy, here)
    code, _, err = train("--resume", tiny_copy, "--steps", 9, "--devices", 1)
    assert code == 0, err
    assert not trap.exists()
    assert open_run(tiny_copy).experiment.name == "tiny_experiment"


# ---------------------------------------------------------------- links


@pytest.mark.parametrize(
    "name", ["samples", "tensorboard", "metrics.jsonl", "config.json", "experiment.py", "losses.png"]
)
def test_a_run_with_linked_parts_is_not_gone_on_with(tiny_copy, here, name):
    precious = here / "precious"
    shutil.move(tiny_copy / name, precious)
    if precious.is_dir():
        (precious / "step_0000099.png").write_text("my picture")
    (tiny_copy / name).symlink_to(precious)
    before = file_digests(here)
    for options in (("--resume", tiny_copy, "--steps", 9), ("--run-dir", tiny_copy, "--overwrite")):
        assert_refused(train(*options, "--devices", 1), f"{name} is a symbolic link")
    assert file_digests(here) == before


def test_what_part_files_point_at_is_not_written(tiny_copy, here):
    (here / "precious").write_text("mine")
    for name in ("config.json.part", "metrics.jsonl.part", ".lock"):
        (tiny_copy / name).symlink_to(here / "precious")
    assert_refused(train("--resume", tiny_copy, "--steps", 9, "--devices", 1), r"cannot be written \(.*symbolic link")
    (tiny_copy / ".lock").unlink()
    assert train("--resume", tiny_copy, "--steps", 9, "--devices", 1)[0] == 0
    assert (here / "precious").read_text() == "mine"


def test_checkpoints_on_another_disk_are_read_and_gone_on_with_but_not_overwritten(tiny_copy, here):
    shutil.move(tiny_copy / "checkpoints", here / "store")
    (tiny_copy / "checkpoints").symlink_to(here / "store")
    assert command("sample", tiny_copy, "--out", "x.png")[0] == 0
    before = file_digests(here)
    refused = train("--run-dir", tiny_copy, "--overwrite", "--devices", 1)
    assert_refused(refused, "checkpoints is a symbolic link")
    assert file_digests(here) == before
    assert train("--resume", tiny_copy, "--steps", 12, "--devices", 1)[0] == 0
    assert sorted(path.name for path in (here / "store").iterdir()) == ["12", "8"]


def test_overwriting_leaves_what_the_run_did_not_make(tiny_copy):
    for name in ("samples/mine.png", "checkpoints/notes.txt", "notes.txt"):
        (tiny_copy / name).write_text("mine")
    code, _, err = train("--run-dir", tiny_copy, "--overwrite", "--steps", 2, "--devices", 1)
    assert code == 0, err
    for name in ("samples/mine.png", "checkpoints/notes.txt", "notes.txt"):
        assert (tiny_copy / name).read_text() == "mine"
    assert [path.name for path in (tiny_copy / "checkpoints").iterdir() if path.is_dir()] == ["2"]


# ---------------------------------------------------------------- strays


def test_odd_lines_and_strays_are_passed_over_with_one_warning_each(tiny_copy):
    whole = (tiny_copy / "metrics.jsonl").read_bytes()
    odd = [
        b"\x80\xff",
        b"[1]",
        b'{"step": 4, "x": NaN}',
        b'{"step": "4"}',
        b'{"x": 1}',
        b"null",
        b"[" * 100_000,
        b'{"st',
    ]
    (tiny_copy / "metrics.jsonl").write_bytes(whole + b"\n".join(odd))
    for name in ("step_1_copy.png", "step_\u00b2.png", "step_00000\uff15\uff15.png", "notes.txt"):
        (tiny_copy / "samples" / name).write_text("mine")
    (tiny_copy / "checkpoints" / "\uff15").mkdir()
    code, out, err = command("info", tiny_copy)
    assert code == 0
    assert err.count("\n") == 1
    assert "8 damaged lines" in err
    code, out, err = train("--resume", tiny_copy, "--steps", 9, "--devices", 1)
    assert (code, err) == (0, "")
    assert out.count("which is left alone") == 2
    assert (tiny_copy / "metrics.jsonl").read_bytes().startswith(whole)
    assert (tiny_copy / "samples" / "step_1_copy.png").read_text() == "mine"


@pytest.mark.parametrize(
    "damage", ["", "[]", "{}", '{"evaluations": 5}', '{"evaluations": [{}]}', "\x80", "[" * 100_000]
)
def test_a_damaged_evaluation_file_is_refused_before_the_work(tiny_copy, damage):
    (tiny_copy / "evaluation.json").write_text(damage, encoding="latin-1")
    assert_refused(command("evaluate", tiny_copy), r"evaluation\.json is damaged \(.*: mend or remove it")


# ---------------------------------------------------------------- two at once


def test_a_run_that_is_being_trained_is_not_touched_by_another(tiny_copy, here):
    lock = lock_run(tiny_copy)
    before = file_digests(here)
    for options in (("--resume", tiny_copy, "--steps", 9), ("--run-dir", tiny_copy, "--overwrite")):
        assert_refused(train(*options, "--devices", 1), r"is being trained by process \d+ since 20\d\d-.*: wait for it")
    assert command("info", tiny_copy)[0] == 0
    assert file_digests(here) == before
    lock.release()
    assert not (tiny_copy / ".lock").exists()


def test_a_process_that_is_gone_holds_no_lock(tiny_copy):
    (tiny_copy / ".lock").write_text('{"process": 1, "host": "here", "since": "then"}')
    assert train("--resume", tiny_copy, "--steps", 9, "--devices", 1)[0] == 0
    assert not (tiny_copy / ".lock").exists()


def test_a_disk_without_locks_is_said_and_used(tiny_copy, monkeypatch):
    def unsupported(*arguments):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", unsupported)
    code, out, _ = train("--resume", tiny_copy, "--steps", 9, "--devices", 1)
    assert code == 0
    assert "has no locks, so see to it" in out
