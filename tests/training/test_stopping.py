"""Signals end a run at a step from which it can be resumed, and the caller is informed."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
from helpers import run_python, start_python, tiny_config
from tiny import tiny_images, tiny_mlp_gan

from jaxgen import RunStopped, train
from jaxgen.training import checkpoint, stopping

TINY = Path(__file__).parent.parent / "tiny_experiment.py"


def test_a_signal_raises_in_a_program_that_calls_train_and_what_it_says_goes_on(tmp_path):
    config = tiny_config(tmp_path / "run", steps=2**20, sample_every=0, checkpoint_every=0)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def interrupt():
        metrics = config.run.run_dir / "metrics.jsonl"
        while not metrics.is_file() or not metrics.stat().st_size:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=interrupt, daemon=True)
    thread.start()
    with pytest.raises(RunStopped, match=r"Stopped by SIGTERM at step \d+ of .*resume=True") as stopped:
        train(tiny_mlp_gan(), tiny_images(), config)
    thread.join()
    assert not isinstance(stopped.value, Exception)  # a caller's `except Exception` does not take it for a failure
    assert stopped.value.exit_code == 128 + signal.SIGTERM
    step = int(stopped.value.result.state.step)
    assert 0 < step < config.run.steps
    assert checkpoint.steps_on_disk(config.run.run_dir / "checkpoints") == [step]
    assert {number: signal.getsignal(number) for number in before} == before
    again = tiny_config(config.run.run_dir, steps=step + 4, sample_every=0, checkpoint_every=0, resume=True)
    assert int(train(tiny_mlp_gan(), tiny_images(), again).state.step) == step + 4


def test_the_first_signal_is_answered_while_the_main_thread_is_busy_and_the_second_raises():
    said, raised = threading.Event(), False
    with stopping.stop_requested(
        lambda text: said.set() if "SIGINT: stopping after this step" in text else None
    ) as stop:
        assert stop(1) is None
        signal.raise_signal(signal.SIGINT)
        assert said.wait(10)
        assert stop(2) == "SIGINT"
        try:
            signal.raise_signal(signal.SIGINT)
            time.sleep(1)
        except KeyboardInterrupt:
            raised = True
    assert raised


@pytest.mark.skipif(sys.platform != "linux", reason="calls libc")
def test_a_second_interrupt_ends_a_command_line_even_while_it_compiles(tmp_path):
    """A train step that never ends being traced stands for a compiler: native code, which no signal ends."""
    program = (
        "import ctypes, sys, optax, tiny_experiment\n"
        "from jaxgen import run\n"
        "def hang(*_):\n"
        "    mutex, lock = ctypes.create_string_buffer(64), ctypes.CDLL(None).pthread_mutex_lock\n"
        "    lock(mutex), lock(mutex)\n"
        "optax.adam = lambda *_, **__: optax.GradientTransformation(lambda params: (), hang)\n"
        "sys.exit(run(tiny_experiment.EXPERIMENT))"
    )
    process = start_python("-c", program, "--run-dir", tmp_path / "run", cwd=TINY.parent)
    for line in process.stdout:
        if line.startswith("compiling"):
            break
    time.sleep(1)  # to be in it by then
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "SIGINT: stopping after this step; Ctrl-C again to abort." in out
    assert "No checkpoint had been saved yet" in err


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="calls libc")
def test_an_abort_of_native_code_says_what_to_do():
    program = (
        "import ctypes; from jaxgen.training import lost_runs\n"
        "with lost_runs._abort_explained(lambda: 'Choose fewer devices.'): ctypes.CDLL(None).abort()"
    )
    done = run_python("-c", program)
    assert done.returncode == 1
    assert done.stderr.startswith("error: Choose fewer devices. (TF_CPP_MIN_LOG_LEVEL=0 in the environment")
