"""Messages for runs that are lost through no fault of their own: a process is gone, a collective is stuck, memory is
full.

Some of these reach Python as an exception. Others do not: XLA aborts a process in which a collective is stuck, jax's
coordination service one whose first process is gone, and both print addresses of C++ functions.
"""

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Iterator

import jax
from jax.sharding import Mesh

from jaxgen.core.errors import RunFailed

_HANDLER = ctypes.CFUNCTYPE(None, ctypes.c_int)
_LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
_SET_BY_JAX, _NOTHING = "1", "4"


def quiet_native_log() -> None:
    """Let native code log nothing, in particular no stack traces, unless the environment sets a log level."""
    if os.environ.get(_LOG_LEVEL, _SET_BY_JAX) == _SET_BY_JAX:
        os.environ[_LOG_LEVEL] = _NOTHING


@contextlib.contextmanager
def lost_runs_explained(mesh: Mesh) -> Iterator[None]:
    """Turn external causes that end a run on the devices of a mesh into a `RunFailed`, or into its sentence.

    Raises:
      RunFailed: another process is gone, or a device runs out of memory.
    """
    explained = _abort_explained(lambda: _sentence(mesh)) if mesh.size > 1 else contextlib.nullcontext()
    try:
        with explained:
            yield
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" in str(error):
            raise RunFailed(
                f"The memory of the device does not suffice ({str(error).splitlines()[0][:200]}): choose a smaller "
                "--batch-size, more --devices or smaller networks."
            ) from error
        if jax.process_count() == 1:
            raise
        raise RunFailed(_sentence(mesh)) from error


def _sentence(mesh: Mesh) -> str:
    count = jax.process_count()
    if count == 1:
        return (
            f"XLA ended this run, since one of its {mesh.size} devices waited 40 seconds for another: the machine is "
            "too busy for so many. Go on from the last checkpoint with --resume and fewer --devices."
        )
    own = jax.process_index()
    other = f"process {1 - own}" if count == 2 else "process 0, or another of them" if own else "another of them"
    return (
        f"Process {own} of the {count} of this run cannot go on, since {other} is gone. Start all of them again with "
        "--resume: they go on from the last checkpoint."
    )


def end_with_other_processes(exit_code: int) -> None:
    """End this process at once if it is one of several: jax's own exit awaits the others, which may be gone."""
    if jax.distributed.is_initialized():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(exit_code)


@contextlib.contextmanager
def _abort_explained(sentence: Callable[[], str]) -> Iterator[None]:
    """Let an abort of native code in a block print a sentence and end the process with exit code 1.

    Python's own handlers run between two Python instructions, and after an abort there are no more. This handler is
    called by the aborting thread itself. A handler that someone else has installed stays.
    """
    try:
        install = ctypes.CDLL(None).signal
    except (OSError, AttributeError, TypeError):  # no such library: an abort remains unexplained
        yield
        return
    install.argtypes, install.restype = [ctypes.c_int, ctypes.c_void_p], ctypes.c_void_p

    @_HANDLER
    def explain(number: int) -> None:
        del number
        words = f"error: {sentence()} ({_LOG_LEVEL}=0 in the environment shows what the libraries say.)\n"
        os.write(2, words.encode(errors="backslashreplace"))
        os._exit(1)

    before = install(signal.SIGABRT, ctypes.cast(explain, ctypes.c_void_p))
    if before:
        install(signal.SIGABRT, before)
    try:
        yield
    finally:
        if not before:
            install(signal.SIGABRT, before)
