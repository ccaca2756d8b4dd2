"""The command lines with tunes: train, draw one as MIDI, evaluate."""

import contextlib

import pytest
from command_lines import assert_refused, command, train

from jaxgen.evaluation.records import read_evaluations
from jaxgen.experiments import music_gpt

OPTIONS = (
    "--preset",
    "quick",
    "--steps",
    2,
    "--layers",
    1,
    "--width",
    8,
    "--heads",
    1,
    "--context",
    16,
    "--devices",
    1,
)
OPTIONS += ("--sample-every", 0, "--checkpoint-every", 0, "--eval-every", 0, "--sample-length", 60, "--log-every", 0)
RUN = "runs/music_gpt/001"
TUNE = "M:4/4\nL:1/4\nK:C\nC D E F | G G G G | A B c d |]\n\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("music")
    with contextlib.chdir(folder):
        code, _, err = train(*OPTIONS, experiment=music_gpt.EXPERIMENT)
    assert (code, err) == (0, "")
    return folder


@pytest.mark.slow
def test_a_tune_is_written_as_midi(folder, monkeypatch):
    """Of a network that has learned nothing yet only the prompt is music, so it is the whole tune."""
    monkeypatch.chdir(folder)
    sample = ("sample", RUN, "--num-tokens", 5, "--prompt")
    assert command(*sample, TUNE, "--out", "tune.mid")[0] == 0
    assert (folder / "tune.mid").read_bytes()[:4] == b"MThd"
    assert_refused(command(*sample, "\n\n\n", "--out", "none.mid"), "cannot be read as ABC notation")
    assert_refused(command(*sample, "A", "B", "--out", "two.mid"), "holds one tune, not 2")


@pytest.mark.slow
def test_the_bars_of_tunes_are_evaluated(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert command("evaluate", RUN, "--metrics", "bars", "--num-samples", 10)[0] == 0
    values = read_evaluations(folder / RUN)[-1]["values"]
    assert values["bars/held_out_tunes"] == 10
    assert values["bars/held_out_right"] > 0.95
