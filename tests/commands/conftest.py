"""An empty folder, and a tiny run to work on."""

import contextlib
import shutil

import pytest
from command_lines import train


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """A folder with runs/tiny_experiment/001, of 8 steps."""
    folder = tmp_path_factory.mktemp("tiny")
    with contextlib.chdir(folder):
        result = train("--devices", 1)
    assert result[0] == 0, result
    return folder


@pytest.fixture
def tiny_copy(tiny, here):
    """The same, for tests that damage or resume it; the run's folder."""
    shutil.copytree(tiny / "runs", here / "runs")
    return here / "runs" / "tiny_experiment" / "001"
