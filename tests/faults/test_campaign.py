"""Faults on tiny runs: a short campaign. The long one: `python tests/faults/campaign.py --help`."""

import re
import sys
from pathlib import Path

import pytest
from helpers import run_python

CAMPAIGN = Path(__file__).parent / "campaign.py"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits and signals of Linux")
def test_nothing_is_lost_by_any_kind_of_fault(tmp_path):
    """As a process of its own, since it forks, which one that has started jax must not."""
    table = tmp_path / "table.md"
    result = run_python(CAMPAIGN, "--faults", 30, "--out", table, timeout=1500)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]
    found = re.search(r"\| all \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|", table.read_text())
    tried, equal, refused, lost = map(int, found.groups())
    assert tried == equal + refused > 20
    assert (equal > refused, lost) == (True, 0)
