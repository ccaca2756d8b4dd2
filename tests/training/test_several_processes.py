"""Two processes with one device each give what one process with two devices gives."""

import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
from helpers import saved_digest, start_python

from jaxgen.training import run_folder

pytestmark = pytest.mark.slow

EXPERIMENT = Path(__file__).parent.parent / "tiny_experiment.py"
LIMIT = 180


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start_two(run_dir, *options):
    port = free_port()
    return [
        start_python(
            EXPERIMENT,
            *("--run-dir", run_dir, "--coordinator", f"127.0.0.1:{port}", "--num-processes", 2, "--process-id", i),
            *options,
        )
        for i in (0, 1)
    ]


def finish(processes, limit=LIMIT):
    """[(exit code, stdout, stderr)]; every process is killed (they may ignore SIGTERM) when the limit is over."""
    end, results = time.monotonic() + limit, []
    try:
        for process in processes:
            out, err = process.communicate(timeout=max(1.0, end - time.monotonic()))
            results.append((process.returncode, out, err))
    except subprocess.TimeoutExpired:
        for process in processes:
            process.kill()
        raise AssertionError([process.communicate() for process in processes]) from None
    return results


def metrics(run_dir):
    lines = run_folder.read_metrics(run_dir)
    return [{name: value for name, value in line.items() if not name.startswith("speed/")} for line in lines]


@pytest.mark.parametrize(
    "options", [pytest.param((), id="resident"), pytest.param(("--streamed",), id="streamed", marks=pytest.mark.slow)]
)
def test_two_processes_train_as_one_with_two_devices(tmp_path, options):
    one = start_python(EXPERIMENT, "--run-dir", tmp_path / "one", *options, devices=2)
    two = finish(start_two(tmp_path / "two", *options))
    ((code, _, err),) = finish([one])
    assert code == 0, err
    assert [code for code, _, _ in two] == [0, 0], two
    expected, actual = metrics(tmp_path / "one"), metrics(tmp_path / "two")
    assert [line["step"] for line in actual] == [line["step"] for line in expected]
    for a, b in zip(actual, expected, strict=True):
        assert a == pytest.approx(b, rel=1e-5)
    # Process 0 alone reports.
    assert "Done: 8 steps" in two[0][1]
    assert [line for line in two[1][1].splitlines() if "Gloo" not in line] == []
    assert len(list((tmp_path / "two" / "tensorboard").iterdir())) == 1
    assert {p.name for p in (tmp_path / "two").iterdir()} == {p.name for p in (tmp_path / "one").iterdir()}
    # What they saved is whole, and is the same state.
    assert saved_digest(tmp_path / "two", 8) == saved_digest(tmp_path / "one", 8)


@pytest.mark.slow
def test_two_processes_stop_together_and_go_on(tmp_path):
    run_dir = tmp_path / "run"
    long = ("--steps", 200_000, "--checkpoint-every", 0, "--sample-every", 0, "--log-every", 100)
    processes = start_two(run_dir, *long)
    try:
        for line in processes[0].stdout:
            if line.startswith("compiled;"):
                break
        time.sleep(1.0)
        processes[1].send_signal(signal.SIGTERM)
        results = finish(processes)
    finally:
        for process in processes:
            process.kill()
    assert [code for code, _, _ in results] == [143, 143], results
    assert "Stopped by SIGTERM at step" in results[0][1]
    (step,) = [int(p.name) for p in (run_dir / "checkpoints").iterdir() if p.name.isdigit()]
    results = finish(start_two(run_dir, "--resume", "--steps", step + 3, "--checkpoint-every", 0))
    assert [code for code, _, _ in results] == [0, 0], results
    ((code, out, err),) = finish([start_python(EXPERIMENT, "--resume", run_dir, "--steps", step + 6, devices=2)])
    assert code == 0, err
    assert f"at step {step + 3}" in out


@pytest.mark.slow
@pytest.mark.parametrize("killed", [0, 1])
def test_the_others_end_with_a_sentence_where_one_process_is_killed(tmp_path, killed):
    often = ("--checkpoint-every", 500, "--sample-every", 0, "--log-every", 100)
    processes = start_two(tmp_path / "run", "--steps", 200_000, *often)
    try:
        for line in processes[0].stdout:
            if line.startswith("compiled;"):
                break
        time.sleep(1.0)
        processes[killed].kill()
        ((code, _, err),) = finish([processes[1 - killed]], limit=90)
    finally:
        for process in processes:
            process.kill()
    assert code == 1, err
    words = f"error: Process {1 - killed} of the 2 of this run cannot go on, since process {killed} is gone."
    assert err.splitlines()[-1].startswith(words)  # lines of the libraries' own log may come before it
    assert "--resume" in err.splitlines()[-1]
    assert "Traceback" not in err
