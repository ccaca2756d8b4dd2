"""An empty folder, and a tiny run to work on."""

import contextlib
import functools
import shutil

import pytest
from command_lines import train

from jaxgen.data import embedded_sets
from jaxgen.experiments import mnist_gan

MNIST = ("--preset", "quick", "--steps", 6, "--batch-size", 500, "--devices", 1, "--steps-per-dispatch", 3)
MNIST += ("--log-every", 2, "--sample-every", 3, "--checkpoint-every", 3, "--eval-samples", 200)

READ_ONCE = functools.cache(embedded_sets.mnist_arrays)


@pytest.fixture(autouse=True, scope="module")
def mnist_is_unpacked_once():
    """Dozens of commands load it, at a second each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedded_sets, "mnist_arrays", READ_ONCE)
        yield


@pytest.fixture(scope="module")
def small_mnist(mnist_is_unpacked_once):
    """300 digits of each split, so that runs and evaluations are short."""
    whole = embedded_sets.mnist_arrays()
    few = type(whole)(*(values[:300] for values in whole))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedded_sets, "mnist_arrays", lambda: few)
        yield


@pytest.fixture(scope="session")
def mnist(tmp_path_factory):
    """A folder with runs/mnist_gan/001, of 6 steps, and what was said."""
    folder = tmp_path_factory.mktemp("mnist")
    with contextlib.chdir(folder):
        return folder, train(*MNIST, experiment=mnist_gan.EXPERIMENT)


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
