"""`jaxgen augment`, the study that uses it, and walks of a class-conditional model."""

import json

import numpy as np
import pytest
from command_lines import assert_refused, call, command, train
from PIL import Image

from jaxgen.data import load
from jaxgen.experiments import _study, mnist_conditional_gan, mnist_synthetic_data

SHORT = ("--preset", "quick", "--steps", 2, "--devices", 1, "--eval-samples", 200, "--per-class", 5)


@pytest.mark.slow
def test_a_class_conditional_run_becomes_a_labeled_data_set(here, small_mnist):
    code, _, err = train(*SHORT, experiment=mnist_conditional_gan.EXPERIMENT)
    assert code == 0, err
    run = "runs/mnist_conditional_gan/001"
    code, out, err = command("augment", run, "--num", 300, "--out", "more.npz")
    assert code == 0, err
    assert "300 labeled examples of mnist_conditional_gan at step 2: more.npz" in out
    data = load("more.npz")
    assert data.train["image"].shape == (300, 28, 28, 1)
    np.testing.assert_array_equal(np.bincount(data.train["label"]), np.full(10, 30))
    assert command("augment", run, "--num", 20, "--out", "few.npz")[0] == 0
    np.testing.assert_array_equal(load("few.npz").train["image"], data.train["image"][:20])
    assert command("interpolate", run, "--rows", 3, "--steps", 4, "--out", "walk.png")[0] == 0
    with Image.open("walk.png") as grid:
        assert grid.width > grid.height


def test_a_run_without_classes_gives_images_without_labels(tiny, here):
    code, out, err = command("augment", tiny / "runs/tiny_experiment/001", "--num", 4, "--out", "more.npz")
    assert code == 0, err
    assert "without labels" in out
    assert "label" not in np.load("more.npz")


def test_bad_input_is_refused(tiny_copy, here):
    for arguments, words in (
        ((tiny_copy, "--num", 0, "--out", "x.npz"), "--num must be at least 1"),
        ((tiny_copy, "--num", 3, "--out", "x.png"), "must end in .npz"),
        (("nowhere", "--num", 3, "--out", "x.npz"), "nowhere is not the folder of a run"),
    ):
        assert_refused(command("augment", *arguments), words)


def study(*options):
    return call(mnist_synthetic_data.run, [str(option) for option in options])


def test_a_study_refuses_what_it_cannot_do(here):
    assert_refused(study("--classifier-steps", 0), "--classifier-steps must be at least 1")
    assert_refused(study("--resume"), "no study to resume")
    (here / "there").mkdir()
    (here / "there" / "letter.txt").write_text("mine")
    assert_refused(study("--run-dir", "there"), "there")


def test_a_study_uses_as_many_devices_as_it_is_asked_to(here, monkeypatch):
    asked = []
    monkeypatch.setattr(_study, "prepare_process", lambda config: asked.append(config.hardware.devices))
    code = _study.run_study(
        mnist_synthetic_data.STUDY,
        _study.StudyOptions,
        ["--devices", "2"],
        "",
        lambda options, folder: iter(()),
        lambda found, folder: None,
        settings=(),
    )
    assert (code, asked) == (0, [2])


@pytest.mark.slow
def test_a_study_trains_every_classifier_and_goes_on_where_it_was(here, small_mnist):
    options = ("--per-class", 5, "--generator-steps", 4, "--classifier-steps", 1, "--num-generated", 250)
    options += ("--devices", 1)
    code, out, err = study(*options, "--seeds", 0)
    assert code == 0, err
    folder = here / "runs" / "mnist_synthetic_data" / "001"
    first = json.loads((folder / "results.json").read_text())["results"]
    assert [(r["per_class"], r["variant"]) for r in first] == [(5, v) for v in mnist_synthetic_data.VARIANTS]
    assert all(0.0 < r["last"] <= r["best"] < 1.0 for r in first)
    assert (folder / "accuracy.png").stat().st_size > 1_000
    assert "Accuracy on the 10,000 test digits" in out
    assert_refused(study("--resume", *options, "--classifier-steps", 2), "was begun with")
    code, out, err = study("--resume", *options, "--seeds", 0)
    assert code == 0, err
    assert "run folder" not in out
    assert json.loads((folder / "results.json").read_text())["results"] == first
