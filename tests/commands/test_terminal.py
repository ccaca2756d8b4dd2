"""What reaches the terminal, and how command lines end: a closed or full stdout, ASCII, signals."""

import io
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from command_lines import command
from helpers import process_environment
from rich.table import Table

from jaxgen.core import terminal
from jaxgen.core.command_line import end_well
from jaxgen.core.errors import UserError
from jaxgen.core.terminal import console, printable

HOSTILE = "im[/x][bold]:smile:\x1b[31m\x07\x9b\u202e\r\ud83d\udcff"


def test_control_characters_are_spelled_out_and_all_else_stays():
    assert printable(HOSTILE) == r"im[/x][bold]:smile:\x1b[31m\x07\x9b\u202e\r\ud83d\xff"
    for text in ("plain", "Straße é 你好 👩‍🚀 ─│ ½", ""):
        assert printable(text) == text
    assert printable("a\nb\tc", keep="\n") == "a\nb\\tc"


def test_no_text_is_taken_as_markup():
    file = io.StringIO()
    shown = console(file=file, width=200)
    table = Table(HOSTILE, box=None, pad_edge=False)
    table.add_row(HOSTILE)
    shown.print(table)
    shown.print(HOSTILE)
    lines = [line.rstrip() for line in file.getvalue().splitlines()]
    assert lines == [printable(HOSTILE)] * 3


def test_info_shows_options_as_they_are(tiny_copy):
    record = json.loads((tiny_copy / "config.json").read_text())
    record["config"]["wandb"] = "im[/x]\x1b[31m"
    (tiny_copy / "config.json").write_text(json.dumps(record))
    code, out, err = command("info", tiny_copy)
    assert (code, err) == (0, "")
    assert r"im[/x]\x1b[31m" in out
    assert "\x1b" not in out


def test_a_sentence_is_one_line_whatever_it_names(capsys):
    def refuse():
        raise UserError("There is no run in a\n\x1b[2Jb.")

    assert end_well(refuse) == 2
    assert capsys.readouterr().err == "error: There is no run in a\\n\\x1b[2Jb.\n"


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (OSError(28, "No space left on device", "x" * 5000), 2, "No space left on device"),
        (MemoryError(), 2, "memory is not enough"),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating"), 2, "memory is not enough"),
        (KeyboardInterrupt(), 130, "stopped"),
    ],
)
def test_faults_of_the_machine_are_one_sentence(capsys, error, code, words):
    def fail():
        raise error

    assert end_well(fail) == code
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert len(said) < 400


def test_an_error_of_the_program_itself_is_not_hidden():
    def fail():
        raise RuntimeError("a defect")

    with pytest.raises(RuntimeError, match="a defect"):
        end_well(fail)


def test_words_of_tyro_repeat_no_control_character():
    code, out, err = command("sample", "nowhere", "--seed", "\x1b[31mred")
    assert code == 2
    assert r"\x1b[31mred" in err
    assert "\x1b" not in out + err


# ---------------------------------------------------------------- processes, which import nothing that takes time


def start(*arguments, **options):
    return subprocess.Popen(
        [sys.executable, *arguments], env={**process_environment(), **options.pop("env", {})}, text=True, **options
    )


def test_a_reader_that_is_gone_ends_a_command_quietly():
    reader, writer = os.pipe()
    os.close(reader)
    process = start("-m", "jaxgen", "--help", stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert process.communicate(timeout=60)[1] == ""
    assert process.returncode == 141


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
def test_what_is_printed_on_a_closed_stream_goes_nowhere(monkeypatch):
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    assert end_well(lambda: print("done", file=sys.stdout) or 0) == 0
    for stream in (sys.stdout, sys.stderr):
        assert os.path.samestat(os.fstat(stream.fileno()), os.stat(os.devnull))
        stream.close()


def test_a_full_stdout_is_said_in_one_sentence():
    with open("/dev/full", "w") as full:
        process = start("-m", "jaxgen", "--help", stdout=full, stderr=subprocess.PIPE)
        err = process.communicate(timeout=60)[1]
    assert process.returncode == 2
    assert err == "error: Standard output cannot be written (No space left on device).\n"


def test_an_ascii_terminal_gets_every_text():
    program = "from jaxgen.core.terminal import encode_anything as e; e(); print('╭─╮│ … caf\\xe9 \\U0001F600')"
    process = start("-c", program, stdout=subprocess.PIPE, env={"LC_ALL": "C", "PYTHONIOENCODING": "ascii"})
    assert process.communicate(timeout=60)[0] == "+-+| . caf\\xe9 \\U0001f600\n"
    assert process.returncode == 0


STOPPED = """
import hashlib, sys, time
from jaxgen.core.command_line import end_well, stoppable
def work():
    print("working", flush=True)
    {work}
    return 0
with stoppable(lambda: print("tidied", flush=True), lambda: "stopped; nothing was written"):
    sys.exit(end_well(work, stopped=lambda: "stopped; nothing was written"))
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize(
    ("work", "said"),
    [
        ("time.sleep(60)", ""),
        ("hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)", "tidied\n"),  # which Python cannot interrupt
    ],
)
def test_signals_end_a_command_with_one_line(name, work, said):
    number = getattr(signal, name)
    process = start("-c", STOPPED.format(work=work), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline() == "working\n"
    time.sleep(0.5 if said else 0.0)  # before the call has begun, Python itself would answer
    process.send_signal(number)
    begun = time.monotonic()
    assert process.communicate(timeout=60) == (said, "stopped; nothing was written\n")
    assert process.returncode == 128 + number
    assert time.monotonic() - begun < 30


def test_a_signal_in_an_import_ends_the_process_at_once_and_raises_nothing_there(tmp_path):
    # An extension module turns any exception in it into an ImportError, or crashes.
    swallowing = (
        "import time\nprint('working', flush=True)\ntry: time.sleep(60)\nexcept BaseException: raise ImportError\n"
    )
    (tmp_path / "extension.py").write_text(swallowing)
    work = f"sys.path.insert(0, {str(tmp_path)!r}); import extension"
    process = start("-c", STOPPED.format(work=work), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert [process.stdout.readline() for _ in range(2)] == ["working\n"] * 2
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=60) == ("tidied\n", "stopped; nothing was written\n")
    assert process.returncode == 128 + signal.SIGTERM


def test_a_name_too_long_for_a_sentence_loses_its_middle():
    assert terminal.shortened("a" * 150 + "b" * 150) == "a" * 100 + "..." + "b" * 100
    assert terminal.shortened("short") == "short"
