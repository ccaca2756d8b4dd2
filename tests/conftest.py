"""All tests run on the CPU with 8 devices; `device_mesh(n)` chooses among them."""

import os
import shutil
import signal
import tempfile
from pathlib import Path

import jaxlib.version
import pytest

MOST_MAPPINGS = 45_000
FIRST = "PYTEST_XDIST_WORKER" not in os.environ  # the process that starts the workers, which inherit what it sets
if FIRST:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in the background of a shell: processes would inherit it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # as under nohup
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    os.environ["JAX_PLATFORMS"] = "cpu"
    # Most of the tests' time is the compiler's work on programs that run once: LLVM is told not to optimize, nor to
    # split a program into modules (to compile them side by side), and XLA to emit fusions the older way. Each of the
    # last two takes a third of the time away.
    flags = "--xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0"
    flags += " --xla_cpu_parallel_codegen_split_count=1"
    if jaxlib.version.__version_info__ < (0, 11):  # one that a later XLA does not know would end the process
        flags += " --xla_cpu_use_fusion_emitters=false"
    os.environ["XLA_FLAGS"] = f"{flags} {os.environ.get('XLA_FLAGS', '')}"
    # What one process compiles, no other need compile again: a folder of this session alone, unless one is given.
    os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="jaxgen-cache-")  # nor is anything left in a person's own
    own_cache = "JAX_COMPILATION_CACHE_DIR" not in os.environ
    if own_cache:
        os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="jaxgen-tests-")
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.1"
    # What trainings of this session remember of the files they ran, and nobody else.
    os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="jaxgen-tests-state-")


def pytest_collection_modifyitems(items):
    """All of the contract about one model together, so that one process compiles its programs, and not several."""

    def case(item):
        return item.callspec.params.get("case", "") if hasattr(item, "callspec") else ""

    contract = [item for item in items if item.path.name == "test_contract.py"]
    others = [item for item in items if item.path.name != "test_contract.py"]
    items[:] = others + sorted(contract, key=case)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item):
    """Where `PROCESSOR_SECONDS` names a file: a line of each test's seconds, with those of the processes it awaited."""
    before = processor_seconds()
    result = yield
    if "PROCESSOR_SECONDS" in os.environ:
        with open(os.environ["PROCESSOR_SECONDS"], "a") as file:
            file.write(f"{processor_seconds() - before:.2f} {item.nodeid}\n")
    return result


def processor_seconds():
    return sum(os.times()[:4])


def pytest_runtest_teardown(item):
    """Each compiled program takes some 25 memory mappings, and Linux ends a process that asks for more than 65,530."""
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > MOST_MAPPINGS:
        import jax  # not before XLA_FLAGS are set

        jax.clear_caches()


def pytest_sessionfinish(session, exitstatus):
    if FIRST:
        shutil.rmtree(os.environ["XDG_CACHE_HOME"], ignore_errors=True)
        shutil.rmtree(os.environ["XDG_STATE_HOME"], ignore_errors=True)
    if FIRST and own_cache:
        shutil.rmtree(os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)
