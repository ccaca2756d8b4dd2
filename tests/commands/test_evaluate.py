"""`jaxgen evaluate`: of a run, and of images from anywhere."""

import contextlib
import json
import shutil

import numpy as np
import pytest
from command_lines import assert_refused, classifier_experiment, command, train
from PIL import Image

from jaxgen.data import load
from jaxgen.experiments.mnist_conditional_gan import EXPERIMENT
from jaxgen.metrics.extractors import load_extractor


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """A folder with a short run of mnist_conditional_gan, which knows 500 training images."""
    folder = tmp_path_factory.mktemp("short")
    options = ("--preset", "quick", "--steps", 6, "--batch-size", 500, "--devices", 1, "--steps-per-dispatch", 3)
    with contextlib.chdir(folder):
        code, _, err = train(*options, "--per-class", 50, "--eval-samples", 200, experiment=EXPERIMENT)
    assert code == 0, err
    return folder


@pytest.fixture
def run(short, here):
    """A copy of that run."""
    shutil.copytree(short / "runs", here / "runs")
    return here / "runs" / "mnist_conditional_gan" / "001"


@pytest.fixture
def digits(here):
    """300 + 300 digits of the test set, as uint8."""
    images = load("mnist").test["image"]
    np.savez(here / "one.npz", image=images[:300])
    np.savez(here / "other.npz", image=images[300:600])
    return images[:600]


def evaluations(run):
    return json.loads((run / "evaluation.json").read_text())["evaluations"]


def test_a_run_is_scored_and_every_value_says_how_it_was_made(run):
    code, out, err = command("evaluate", run, "--num-samples", 300)
    assert code == 0, err
    assert "step 6 (last checkpoint), 300 samples, 300 mnist images (test split), features of mnist, seed 0" in (
        " ".join(out.split())
    )
    [record] = evaluations(run)
    assert (record["step"], record["checkpoint"], record["seed"], record["data"]) == (6, "last", 0, "mnist")
    assert record["generated"]["count"] == record["real"]["count"] == 300
    assert record["extractor"]["weights_sha256"] == load_extractor("mnist").weights_sha256
    assert {"jaxgen", "jax", "numpy"} <= set(record["versions"])
    values = record["values"]
    for name in ("fid", "kid", "score", "precision", "recall", "density", "coverage", "memorisation_ratio"):
        assert np.isfinite(values[name]), name
        assert f"\n{name} " in out
    assert "held_out/discriminator/loss" in values
    assert 0 <= values["label_agreement"] <= values["label_purity"] <= 1
    assert values["discriminator/gap"] == pytest.approx(
        values["discriminator/training"] - values["discriminator/held_out"]
    )
    assert values["fid"] > 20  # after 6 steps these are no digits
    with Image.open(run / "nearest.png") as pairs:
        assert pairs.width > pairs.height


def test_the_same_evaluation_gives_the_same_values_and_joins_what_was_there(run):
    assert command("evaluate", run, "--num-samples", 200, "--metrics", "fid,score")[0] == 0
    [first] = evaluations(run)
    assert command("evaluate", run, "--num-samples", 200, "--metrics", "classes, fid")[0] == 0
    [joined] = evaluations(run)
    assert {name: joined["values"][name] for name in first["values"]} == first["values"]
    assert joined["values"]["modes"] >= 1
    assert command("evaluate", run, "--num-samples", 200, "--metrics", "score", "--checkpoint", "best")[0] == 0
    assert [record["checkpoint"] for record in evaluations(run)] == ["last", "best"]


def test_the_score_of_a_run_is_that_of_its_samples_in_a_file(run, digits):
    assert command("sample", run, "--num", 200, "--out", "samples.npz")[0] == 0
    code, out, err = command("evaluate", "--real", "one.npz", "--generated", "samples.npz", "--metrics", "classes")
    assert code == 0, err
    assert command("evaluate", run, "--num-samples", 200, "--metrics", "classes")[0] == 0
    confidence = evaluations(run)[0]["values"]["mean_confidence"]
    assert f"{confidence:.5g}" in out


def test_a_folder_of_pictures_is_scored_like_the_array_of_them(digits, here):
    (here / "pictures").mkdir()
    for i, image in enumerate(digits[300:]):
        Image.fromarray(image[..., 0]).save(here / "pictures" / f"{i:03d}.png")
    values = []
    for generated in ("pictures", "other.npz"):
        both = ("--real", "one.npz", "--generated", generated)
        code, _, err = command("evaluate", *both, "--out", "scores.json", "--overwrite")
        assert code == 0, err
        values.append(json.loads((here / "scores.json").read_text())["values"])
    assert values[0] == values[1]
    assert values[0]["precision"] > 0.5  # digits among digits
    assert values[0]["fid"] < 20


def test_a_distance_that_there_are_too_few_images_for_is_left_out_unless_it_is_named(digits, here):
    np.savez(here / "few.npz", image=digits[300:420])
    both = ("evaluate", "--real", "one.npz", "--generated", "few.npz")
    code, out, err = command(*both, "--out", "scores.json")
    assert code == 0, err
    assert "left out: fid (120 images are no more than the 128 features" in out
    values = json.loads((here / "scores.json").read_text())["values"]
    assert "kid" in values
    assert "fid" not in values
    assert_refused(command(*both, "--metrics", "fid"), "too few images for fid")


def test_an_embedded_set_is_named_in_place_of_a_path(digits, here):
    options = ("--generated", "other.npz", "--num-samples", 300, "--metrics", "kid", "--out")
    assert command("evaluate", "--real", "mnist", *options, "named.json")[0] == 0
    assert command("evaluate", "--real", "one.npz", *options, "path.json")[0] == 0
    named, path = (json.loads((here / f"{name}.json").read_text()) for name in ("named", "path"))
    assert named["real"] == {"source": "mnist images (test split)", "count": 300}
    assert named["values"] == path["values"]
    assert_refused(command("evaluate", "--real", "kjv", *options, "x.json"), "kjv is text, not images")


def test_noise_scores_far_worse_than_digits(digits, here):
    noise = np.random.default_rng(0).integers(0, 256, (300, 28, 28, 1), np.uint8)
    np.savez(here / "noise.npz", image=noise)
    values = {}
    for name in ("other", "noise"):
        options = ("--generated", f"{name}.npz", "--out", f"{name}.json")
        assert command("evaluate", "--real", "one.npz", *options)[0] == 0
        values[name] = json.loads((here / f"{name}.json").read_text())["values"]
    assert values["noise"]["fid"] > 20 * values["other"]["fid"]
    assert values["noise"]["kid"] > 20 * abs(values["other"]["kid"])
    assert values["noise"]["coverage"] < 0.05 < 0.8 < values["other"]["coverage"]
    assert values["noise"]["recall"] < 0.05


def test_a_classifier_is_judged_by_its_own_metrics(here):
    assert train("--devices", 1, "--steps", 2, experiment=classifier_experiment(here / "judge.py"))[0] == 0
    assert_refused(command("evaluate", "runs/judge/001"), "no metric for judge: it has no held-out examples")
    assert_refused(command("evaluate", "runs/judge/001", "--metrics", "fid"), "judge is no generative model")


def test_bad_input_is_refused(run, digits, here):
    np.savez(here / "large.npz", image=np.zeros((300, 32, 32, 1), np.uint8))
    np.savez(here / "bright.npz", image=np.full((3, 28, 28, 1), 200.0))
    np.savez(here / "flat.npz", image=np.zeros((3, 784), np.uint8))
    np.savez(here / "words.npz", text=np.zeros(3))
    (here / "broken.npz").write_bytes(b"PK no")
    both = ("evaluate", "--real", "one.npz", "--generated")
    for arguments, words in (
        (("evaluate",), "Name the folder of a run, or give both --real and --generated"),
        (("evaluate", "--real", "one.npz"), "give both --real and --generated"),
        (("evaluate", run, "--real", "one.npz"), "leave out one or the other"),
        (("evaluate", "nowhere"), "nowhere is not the folder of a run"),
        (("evaluate", run, "--metrics", "beauty"), "no metric 'beauty': use .*fid"),
        (("evaluate", run, "--split", "validation"), "--split is train or test"),
        (("evaluate", run, "--num-samples", 1), "--num-samples must be at least 2"),
        (
            ("evaluate", run, "--num-samples", 100, "--metrics", "fid,kid"),
            "too few images for fid: 100 .* 128 features",
        ),
        (("evaluate", run, "--checkpoint", "3.5"), "--checkpoint is best, last or a step"),
        (("evaluate", run, "--extractor", "vgg"), "no feature extractor 'vgg': use mnist"),
        (("evaluate", run, "--extractor", "inception"), "needs its weights.*--weights FILE"),
        (("evaluate", run, "--extractor", "inception", "--weights", "no.pth"), r"no\.pth"),
        (("evaluate", run, "--weights", "one.npz"), "come with jaxgen: leave out --weights"),
        ((*both, "large.npz"), "images of 32x32x1, but the real ones are 28x28x1"),
        ((*both, "bright.npz"), r"float64 from 200 to 200: .*scale them"),
        ((*both, "flat.npz"), r"shape \[3, 784\]: images are \[N, H, W, C\]"),
        ((*both, "words.npz"), "has no images: it must have an entry image"),
        ((*both, "broken.npz"), "cannot be read as a file of arrays"),
        ((*both, "nothing.npz"), "no file nothing.npz"),
        ((*both, "nothing"), "neither a folder of images, a .npz or .npy file nor"),
        ((*both, "other.npz", "--metrics", "memorisation"), "no metric 'memorisation'"),
        ((*both, "other.npz", "--metrics", "labels"), "no metric 'labels'"),
        ((*both, "other.npz", "--metrics", "fid", "--num-samples", 50), "128 features"),
    ):
        assert_refused(command(*arguments), words)
    assert not (run / "evaluation.json").exists()
