"""What a user would write runs, and every command works on what it leaves."""

import contextlib
from pathlib import Path

from command_lines import command, train

from jaxgen.runs.experiment_loading import load_experiment

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_a_gan_of_ones_own_trains_and_is_sampled_by_a_command(tmp_path):
    file = EXAMPLES / "own_gan.py"
    text = file.read_text()
    assert len(text.splitlines()) <= 101
    assert sum(line.startswith(("import jaxgen", "from jaxgen")) for line in text.splitlines()) == 2
    options = (
        "--steps",
        2,
        "--width",
        8,
        "--batch-size",
        8,
        "--eval-every",
        0,
        "--devices",
        1,
        "--steps-per-dispatch",
        2,
    )
    with contextlib.chdir(tmp_path):
        code, out, err = train(*options, experiment=load_experiment(None, file))
        assert code == 0, err
        assert "Done: 2 steps" in out
        assert command("sample", "runs/own_gan/001", "--num", 4, "--out", "sheet.png")[0] == 0
        assert (tmp_path / "sheet.png").is_file()
