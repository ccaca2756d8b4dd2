"""Runs on several CPU devices come to their end: twenty of them, evaluated on hundreds of batches."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

PROGRAM = Path(__file__).parent / "families_on_devices.py"
FAMILIES = ("gan", "vae", "vq_vae", "diffusion", "gpt")
LIMIT = 240
"""Seconds; a run that hangs is ended by XLA after 40."""


@pytest.mark.parametrize(
    ("forced", "devices", "small", "large"),
    [
        pytest.param(None, 2, 8, 64, id="two cores as devices"),
        pytest.param(8, 8, 8, 64, id="all of eight"),
        pytest.param(9, 8, 16, 64, id="eight of nine"),
    ],
)
def test_runs_of_five_families_end_on_several_devices(tmp_path, forced, devices, small, large):
    flags = [flag for flag in os.environ.get("XLA_FLAGS", "").split() if "device_count" not in flag]
    flags += [] if forced is None else [f"--xla_force_host_platform_device_count={forced}"]
    if forced is None and len(os.sched_getaffinity(0)) < devices:
        pytest.skip(f"this process may use fewer than {devices} cores")
    done = subprocess.run(
        [sys.executable, PROGRAM, tmp_path, str(devices), str(small), str(large)],
        env={**os.environ, "XLA_FLAGS": " ".join(flags)},
        text=True,
        capture_output=True,
        timeout=LIMIT,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    ended = [line for line in done.stdout.splitlines() if line.endswith("ended at step 20")]
    assert [line.split()[0] for line in ended] == list(FAMILIES)
