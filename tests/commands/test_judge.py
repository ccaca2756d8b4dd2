"""A classifier judges a run's samples."""

import json

import pytest
from command_lines import assert_refused, classifier_experiment, command, train


def test_a_classifier_judges_the_samples_of_a_run(tiny_copy, here):
    assert train("--devices", 1, "--steps", 2, experiment=classifier_experiment(here / "judge.py"))[0] == 0
    code, out, err = command("judge", tiny_copy, "--classifier", "runs/judge/001", "--num", 300)
    assert code == 0, err
    assert "300 samples at step 8" in out
    judgement = json.loads((tiny_copy / "judgement.json").read_text())
    assert judgement["step"] == 8
    assert judgement["samples"] == 300
    assert list(judgement["classes"]) == list("0123456789")
    assert sum(judgement["classes"].values()) == pytest.approx(1.0)
    before = (tiny_copy / "judgement.json").read_text()
    assert command("judge", tiny_copy, "--classifier", "runs/judge/001", "--num", 300)[0] == 0
    assert (tiny_copy / "judgement.json").read_text() == before


@pytest.mark.parametrize(
    ("classifier", "words"),
    [("RUN", "has no function 'classify'"), ("nowhere", "nowhere is not the folder of a run")],
)
def test_what_cannot_judge_is_refused(tiny_copy, classifier, words):
    judge = tiny_copy if classifier == "RUN" else classifier
    assert_refused(command("judge", tiny_copy, "--classifier", judge, "--num", 3), words)
    assert_refused(command("judge", tiny_copy, "--classifier", judge, "--num", 0), "--num must be at least 1")
    assert not (tiny_copy / "judgement.json").exists()
