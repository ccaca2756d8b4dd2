"""Runs as processes of their own, stopped by SIGKILL, SIGTERM and SIGINT and resumed to the same bits."""

import signal
import threading
import time

import pytest
from helpers import saved_digest, start_python

from jaxgen.training import run_folder

pytestmark = pytest.mark.slow

STEPS = 300


def start(run_dir, *options):
    return start_python(
        *("-m", "jaxgen.experiments.mnist_gan", "--preset", "quick", "--batch-size", 32, "--steps", STEPS),
        *("--steps-per-dispatch", 5, "--checkpoint-every", 50, "--log-every", 20, "--sample-every", 100),
        *("--run-dir", run_dir, *options),
    )


def finish(process, timeout=240):
    """(exit code, stdout, stderr); killed after `timeout` seconds."""
    try:
        out, err = process.communicate(timeout=timeout)
    finally:
        process.kill()
    return process.returncode, out, err


def await_line(process, word):
    """Reads the process's stdout up to a line with `word`; what was read."""
    guard = threading.Timer(240, process.kill)
    guard.start()
    lines = []
    for line in process.stdout:
        lines.append(line)
        if word in line:
            guard.cancel()
            return "".join(lines)
    raise AssertionError(f"ended without {word!r}: {''.join(lines)}{process.stderr.read()}")


def await_checkpoint(run_dir, process, known=frozenset(), seconds=240):
    """Waits until there is a finished checkpoint that is not in `known`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        if checkpoints(run_dir) - known:
            return
        time.sleep(0.005)
    raise AssertionError(f"no checkpoint came: {process.communicate(timeout=10)}")


def checkpoints(run_dir):
    return {p.name for p in (run_dir / "checkpoints").glob("*") if p.name.isdigit()}


def lines_without_speed(run_dir):
    return [
        {name: value for name, value in line.items() if not name.startswith("speed/")}
        for line in run_folder.read_metrics(run_dir)
    ]


@pytest.fixture(scope="module")
def stops(tmp_path_factory):
    """One run in one go, and one that is stopped three times: {how: (exit code, stdout, stderr)}, and both folders."""
    root = tmp_path_factory.mktemp("runs")
    whole, stopped = root / "whole", root / "stopped"
    results = {}
    with start(whole) as uninterrupted:
        first = start(stopped)
        await_checkpoint(stopped, first)
        first.kill()
        results["SIGKILL"] = finish(first)
        results["metrics after SIGKILL"] = (stopped / "metrics.jsonl").read_text()
        for name in ("SIGTERM", "SIGINT"):
            process = start(stopped, "--resume")
            said = await_line(process, "compiled;")
            process.send_signal(getattr(signal, name))
            code, out, err = finish(process)
            results[name] = (code, said + out, err)
        results["end"] = finish(start(stopped, "--resume"))
        results["whole"] = finish(uninterrupted)
    return results, whole, stopped


def test_a_run_in_one_go_ends_with_code_0(stops):
    code, out, err = stops[0]["whole"]
    assert code == 0, err
    assert f"Done: {STEPS} steps" in out


def test_a_run_that_was_killed_and_stopped_ends_in_the_same_bits(stops):
    results, whole, stopped = stops
    assert results["SIGKILL"][0] == -signal.SIGKILL
    assert results["end"][0] == 0, results["end"][2]
    assert saved_digest(stopped, STEPS) == saved_digest(whole, STEPS)


def test_its_reports_are_those_of_an_uninterrupted_run_apart_from_speed(stops):
    _, whole, stopped = stops
    assert lines_without_speed(stopped) == lines_without_speed(whole)
    for name in [p.name for p in (whole / "samples").iterdir()]:
        assert (stopped / "samples" / name).read_bytes() == (whole / "samples" / name).read_bytes()
    assert len(list((stopped / "samples").iterdir())) == len(list((whole / "samples").iterdir()))


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_a_signal_ends_the_step_saves_and_says_how_to_go_on(stops, name, code):
    results, _, stopped = stops
    actual, out, err = results[name]
    assert actual == code, err
    assert f"Stopped by {name} at step " in out
    assert f"python -m jaxgen.experiments.mnist_gan --resume {stopped}" in out
    assert "Traceback" not in err
    step = int(out.split(f"Stopped by {name} at step ")[1].split()[0])
    assert step % 5 == 0
    later = results["SIGINT" if name == "SIGTERM" else "end"][1]
    assert f"at step {step}\n" in later  # the next process went on from there
