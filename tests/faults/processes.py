"""Processes of the campaign: forked from one that has imported everything, since imports are most of a tiny run."""

import ctypes
import os
import re
import resource
import signal
import struct
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

TESTS = Path(__file__).resolve().parents[1]
TINY = TESTS / "tiny_experiment.py"
PATIENCE = 240.0
"""Seconds after which a process counts as hanging; a tiny run takes two on an idle machine."""
OVERRIDES = 0b1111
"""The bits of CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH and CAP_FOWNER."""


class Result(NamedTuple):
    code: int
    """The exit code, or minus the signal's number."""
    out: str
    err: str

    @property
    def fault(self) -> str | None:
        """What a person should never see of a process that was not killed: a traceback, a crash, pages of text."""
        if found := re.search(
            r"Traceback \(most recent call last\)|Fatal Python error|\*\*\* SIG", self.out + self.err
        ):
            return f"{found.group()} ... {self.err.splitlines()[-1] if self.err else self.out[-200:]}"
        if self.code < 0 or self.code in (134, 139):
            return f"ended by signal {-self.code}"
        if self.code in (1, 2) and len(re.findall(r"^error: ", self.err, re.MULTILINE)) != 1:
            return f"exit code {self.code} without one sentence"
        if len(lines := self.err.splitlines()) > 6:
            return f"{len(lines)} lines on stderr"
        return None


class Process:
    """A running child, whose output goes to two files."""

    def __init__(self, pid: int, stem: Path):
        self.pid, self.stem, self.status = pid, stem, None

    def poll(self) -> bool:
        """Whether it has ended."""
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.status = status if pid else None
        return self.status is not None

    def signal(self, number: int) -> None:
        if not self.poll():
            os.kill(self.pid, number)

    def wait(self) -> Result:
        """Its result, once it has ended; one that hangs is killed, and its output says so."""
        end = time.monotonic() + PATIENCE
        while not self.poll() and time.monotonic() < end:
            time.sleep(0.005)
        hangs = not self.poll()
        if hangs:
            os.kill(self.pid, signal.SIGKILL)
            _, self.status = os.waitpid(self.pid, 0)
        out, err = (self.stem.with_suffix(f".{name}").read_text(errors="replace") for name in ("out", "err"))
        return Result(os.waitstatus_to_exitcode(self.status), out, err + "*** SIGKILL: it hung\n" * hangs)

    def await_that(self, condition: Callable[[], Any]) -> bool:
        """Wait until a condition holds or the process has ended; whether it is still running."""
        end = time.monotonic() + PATIENCE
        while not self.poll() and not condition() and time.monotonic() < end:
            time.sleep(0.001)
        return not self.poll()

    def said(self, words: str) -> bool:
        return words in self.stem.with_suffix(".out").read_text(errors="replace")


def start(arguments: Sequence[Any], stem: Path, prepare: Callable[[], None] = lambda: None) -> Process:
    """`tiny_experiment.py ARGUMENTS`, or of `jaxgen COMMAND` where the first argument is "jaxgen".

    `prepare` is called in the child before anything else.
    """
    for name in ("out", "err"):
        stem.with_suffix(f".{name}").touch()
    pid = os.fork()
    if pid:
        return Process(pid, stem)
    code = 1
    try:
        os.setsid()
        for name, descriptor in (("out", 1), ("err", 2)):
            os.dup2(os.open(stem.with_suffix(f".{name}"), os.O_WRONLY | os.O_APPEND), descriptor)
        sys.stdout, sys.stderr = (open(descriptor, "w", buffering=1) for descriptor in (1, 2))  # noqa: SIM115
        prepare()
        code = _act([str(argument) for argument in arguments])
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


_COLD = """
import runpy, sys
from jaxgen.core import command_line
command_line.interruptible_imports()
print("begins to import", flush=True)
sys.argv.pop(0)
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def start_cold(arguments: Sequence[Any], stem: Path) -> Process:
    """The same as a fresh interpreter, which has everything to import; returned once our code has begun.

    It begins as `python -m jaxgen.experiments.NAME` does. What a signal finds before that is Python's own start, and
    in a user's own file, whose imports nobody guards, a library may answer Ctrl-C by an ImportError.
    """
    with stem.with_suffix(".out").open("w") as out, stem.with_suffix(".err").open("w") as err:
        command = [sys.executable, "-c", _COLD, TINY, *map(str, arguments)]
        popen = subprocess.Popen(command, stdout=out, stderr=err)
    popen.returncode = 0  # it is waited for here, not there
    process = Process(popen.pid, stem)
    process.await_that(lambda: process.said("begins to import"))
    return process


def _act(arguments: list[str]) -> int:
    import tiny_experiment

    from jaxgen.__main__ import run as run_command
    from jaxgen.runs.experiment import run

    if arguments[0] == "jaxgen":
        return run_command(arguments[1:])
    return run(tiny_experiment.EXPERIMENT, arguments)


# ---------------------------------------------------------------- what `prepare` can do


def limit_file_size(size: int) -> None:
    """No file may grow beyond `size` bytes: writing more fails with EFBIG."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def obey_modes() -> None:
    """Give up root's power to read and write what the modes of files forbid; its other rights stay."""
    if os.geteuid() == 0:
        header = struct.pack("=Ii", 0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this thread: it has started no other
        capabilities = ctypes.create_string_buffer(24)  # effective, permitted, inheritable: 32 bits of each, twice
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.capget(header, capabilities):
            raise OSError(ctypes.get_errno(), "capget")
        words = [word & ~OVERRIDES for word in struct.unpack("=6I", capabilities.raw)]
        if libc.capset(header, struct.pack("=6I", *words)):
            raise OSError(ctypes.get_errno(), "capset")


_CHANGES = {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.utime"}


def at_file_operation(folder: Path, number: int, act: Callable[[str], None], *, once: bool = True) -> None:
    """Call `act(path)` before the `number`-th change that Python makes to files under a folder; or from there on."""
    seen, inside = 0, str(folder)

    def hook(event: str, values: tuple[Any, ...]) -> None:
        nonlocal seen
        if event == "open":
            writes = isinstance(values[2], int) and values[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if not writes:
                return
        elif event not in _CHANGES:
            return
        path = os.fsdecode(values[0]) if isinstance(values[0], str | bytes | os.PathLike) else ""
        if not path.startswith(inside):
            return
        seen += 1
        if seen == number or (seen > number and not once):
            act(path)

    sys.addaudithook(hook)
