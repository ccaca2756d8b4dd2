"""All tests run on the CPU with 8 devices; `device_mesh(n)` chooses among them."""

import os
import shutil
import tempfile

CACHE = tempfile.mkdtemp(prefix="jaxgen-tests-")

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
# Own to this session: what a test compiles, its subprocesses need not compile again.
os.environ["JAX_COMPILATION_CACHE_DIR"] = CACHE
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.3"


def pytest_sessionfinish(session, exitstatus):
    shutil.rmtree(CACHE, ignore_errors=True)
