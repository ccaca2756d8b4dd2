"""Faults on tiny runs: short campaigns. The long ones: `python tests/faults/campaign.py --help`, and of `kills.py`."""

import re
import sys
from pathlib import Path

import pytest
from helpers import run_python

HERE = Path(__file__).parent

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="limits and signals of Linux"),
]


def test_nothing_is_lost_by_any_kind_of_fault(tmp_path):
    """As a process of its own, since it forks, which one that has started jax must not."""
    table = tmp_path / "table.md"
    result = run_python(HERE / "campaign.py", "--faults", 22, "--out", table, timeout=1500)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]
    found = re.search(r"\| all \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|", table.read_text())
    tried, equal, refused, lost = map(int, found.groups())
    assert tried == equal + refused > 15
    assert (equal > refused, lost) == (True, 0)


def test_thirty_kills_lose_nothing():
    result = run_python(HERE / "kills.py", "--kills", 30, timeout=600)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
