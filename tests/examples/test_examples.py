"""What a user would write runs, and every command works on what it leaves."""

import contextlib
import copy
from pathlib import Path

import nbformat
import pytest
from command_lines import command, train
from nbclient import NotebookClient

from jaxgen.runs.experiment_loading import load_experiment

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_a_gan_of_ones_own_trains_and_is_sampled_by_a_command(tmp_path):
    file = EXAMPLES / "own_gan.py"
    text = file.read_text()
    assert len(text.splitlines()) <= 101
    assert sum(line.startswith(("import jaxgen", "from jaxgen")) for line in text.splitlines()) == 2
    options = "--steps 2 --width 8 --batch-size 8 --eval-every 0 --devices 1 --steps-per-dispatch 2"
    with contextlib.chdir(tmp_path):
        code, out, err = train(*options.split(), experiment=load_experiment(None, file))
        assert code == 0, err
        assert "Done: 2 steps" in out
        assert command("sample", "runs/own_gan/001", "--num", 4, "--out", "sheet.png")[0] == 0
        assert (tmp_path / "sheet.png").is_file()


def has_picture(cell):
    return any("image/png" in output.get("data", {}) for output in cell.get("outputs", []))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "steps", "fewer"), [("open_a_run", "--steps 2000", "--steps 20"), ("own_loss", "=4000,", "=20,")]
)
def test_a_notebook_runs_and_shows_pictures_where_the_committed_one_does(name, steps, fewer, tmp_path):
    committed = nbformat.read(EXAMPLES / f"{name}.ipynb", as_version=4)
    short = copy.deepcopy(committed)
    for cell in short.cells:
        cell.source = cell.source.replace(steps, fewer).replace("step_0004000", "step_0000020")
    assert sum(old.source != new.source for old, new in zip(committed.cells, short.cells, strict=True)) >= 1
    NotebookClient(short, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert [has_picture(cell) for cell in short.cells] == [has_picture(cell) for cell in committed.cells]
    assert sum(map(has_picture, short.cells)) >= 2
