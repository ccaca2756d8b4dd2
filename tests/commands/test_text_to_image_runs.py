"""The command lines of text to image, both ways, on a folder of captioned images: train, sample, rank, evaluate."""

import contextlib
import shutil
from pathlib import Path

import numpy as np
import pytest
from command_lines import assert_refused, command, train
from PIL import Image

from jaxgen.evaluation.records import read_evaluations
from jaxgen.evaluation.text_agreement import open_text_scorer, rank_by_similarity
from jaxgen.experiments import emoji_clip, emoji_dalle, emoji_dvae, emoji_text_to_image
from jaxgen.runs.opened_run import open_run, restore_run
from jaxgen.samples.numbered import draw_samples

pytestmark = pytest.mark.slow

SHARED = ("--preset", "quick", "--steps", 4, "--batch-size", 16, "--image-size", 16, "--devices", 1)
SHARED += ("--steps-per-dispatch", 2, "--checkpoint-every", 2, "--data", "mine")
WRITTEN = ("--vocabulary", "characters", "--caption-length", 20)
CLIP, DIFFUSION, DALLE, DVAE = (
    f"runs/{name}/001" for name in ("emoji_clip", "emoji_text_to_image", "emoji_dalle", "emoji_dvae")
)
COLORS = ("red", "green", "blue", "white", "black", "yellow")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a run of each, and what was said."""
    folder, said = tmp_path_factory.mktemp("captioned"), {}
    (folder / "mine").mkdir()
    for i in range(120):
        Image.new("RGB", (16, 16), COLORS[i % 6]).save(folder / "mine" / f"{i:03d}.png")
        (folder / "mine" / f"{i:03d}.txt").write_text(f"{COLORS[i % 6]} square {i}\na square\n")
    with contextlib.chdir(folder):
        said["clip"] = train(*SHARED, *WRITTEN, "--text-width", 32, experiment=emoji_clip.EXPERIMENT)
        said["diffusion"] = train(
            *SHARED, *WRITTEN, "--sampling-steps", 2, "--sample-every", 0, experiment=emoji_text_to_image.EXPERIMENT
        )
        said["dvae"] = train(*SHARED, experiment=emoji_dvae.EXPERIMENT)
        said["dalle"] = train(*SHARED, *WRITTEN, "--first-stage", DVAE, experiment=emoji_dalle.EXPERIMENT)
    return folder, said


@pytest.fixture(autouse=True)
def in_its_folder(trained, monkeypatch):
    monkeypatch.chdir(trained[0])


def arrays(path):
    with np.load(path) as file:
        return file["samples"], file["prompts"]


def test_runs_end_and_leave_sheets_of_held_out_captions(trained):
    folder, said = trained
    for name, (code, out, err) in said.items():
        assert (code, err) == (0, ""), name
        if name in ("diffusion", "dalle"):
            assert "--prompt 'black square 16'" in out  # the first caption that is held out
    for run in (DIFFUSION, DALLE):
        sheet = Image.open(folder / run / "samples" / "step_0000004.png")
        assert sheet.height > 6 * 20  # a title above each of six rows


@pytest.mark.parametrize("run", [DIFFUSION, DALLE])
def test_images_of_prompts_follow_the_seed_and_the_best_of_several_are_among_them(run):
    prompts = ("--overwrite", "--prompt", "red square", "a blue one")
    code, said, _ = command("sample", run, *prompts, "--num", 3, "--out", "few.npz")
    assert code == 0, said
    assert "3 images of each of 2 prompts" in said
    samples, of = arrays("few.npz")
    assert samples.shape == (6, 16, 16, 3)
    assert of.tolist() == ["red square"] * 3 + ["a blue one"] * 3
    command("sample", run, *prompts, "--num", 5, "--out", "more.npz")
    more = arrays("more.npz")[0]
    np.testing.assert_allclose(more[[0, 1, 2, 5, 6, 7]], samples, atol=1e-4)
    ranked = ("--rank-with", CLIP, "--candidates", 5, "--num", 2, "--out", "best.npz")
    assert command("sample", run, *prompts, *ranked)[0] == 0
    best = arrays("best.npz")[0]
    for i, image in enumerate(best):
        own = more[5 * (i // 2) : 5 * (i // 2) + 5]
        assert min(np.abs(own - image).max(axis=(1, 2, 3))) < 1e-4
    command("sample", run, *prompts, "--num", 3, "--seed", 1, "--out", "other.npz")
    assert not np.allclose(arrays("other.npz")[0], samples)


def test_sheets_show_prompts_and_the_nearest_images_of_the_data(trained):
    assert command("sample", DALLE, "--prompt", "red square", "--num", 2, "--nearest", "--out", "near.png")[0] == 0
    assert command("sample", DALLE, "--prompt", "red square", "--num", 2, "--out", "plain.png")[0] == 0
    near, plain = Image.open("near.png"), Image.open("plain.png")
    assert near.height == 2 * plain.height
    assert command("sample", DALLE, "--temperature", 0, "--guidance", 1, "--num", 1)[0] == 0  # of the run's own prompts
    assert (trained[0] / "sheet.png").is_file()


@pytest.mark.parametrize("run", [DIFFUSION, DALLE])
def test_agreement_with_held_out_captions_stands_beside_that_of_real_images(run):
    code, said, err = command("evaluate", run, "--metrics", "text_agreement", "--text-scorer", CLIP)
    assert code == 0, err
    record = read_evaluations(Path(run))[-1]
    values = {name.removeprefix("text_agreement/"): value for name, value in record["values"].items()}
    assert {"real_top1", "real_top5", "generated_top1", "generated_top5"} <= values.keys()
    assert all(0 <= value <= 1 for name, value in values.items() if not name.endswith("share_of_real"))
    assert record["text_images"] == 7
    assert record["text_scorer"]["experiment"] == "emoji_clip"
    assert "text_agreement/real_top1" in said


@pytest.fixture(scope="module")
def other_clip(trained):
    """The same encoder two steps later, which is another."""
    with contextlib.chdir(trained[0]):
        shutil.copytree(CLIP, "other_clip")
        code, _, err = train("--resume", "other_clip", "--steps", 6, experiment=emoji_clip.EXPERIMENT)
    assert (code, err) == (0, "")
    return "other_clip"


def test_the_best_of_several_candidates_by_another_encoder_are_judged_beside_the_first(other_clip):
    judged = ("evaluate", DIFFUSION, "--metrics", "text_agreement", "--text-scorer", CLIP)
    code, _, err = command(*judged, "--rank-with", other_clip, "--candidates", 3)
    assert code == 0, err
    record = read_evaluations(Path(DIFFUSION))[-1]
    values = {name.removeprefix("text_agreement/"): value for name, value in record["values"].items()}
    assert {"real_top1", "generated_top1", "ranked_top1", "ranked_top5"} <= values.keys()
    assert record["candidates"] == 3
    assert record["ranked_with"]["step"] == 6
    # A caption's most like image of many is more like it than the first.
    run, judge = open_run(Path(DIFFUSION)), open_text_scorer(Path(CLIP), (16, 16, 3), "--text-scorer")
    images = draw_samples(run.model, restore_run(run), num=8, seed=0)
    likeness = (
        judge.images(rank_by_similarity(images[None], ["red square"], judge)[0]) @ judge.captions(["red square"])[0]
    )
    assert np.all(np.diff(likeness) <= 0)
    assert likeness[0] > likeness[-1]


def test_an_encoder_says_how_often_it_finds_the_caption_of_a_held_out_image():
    code, said, err = command("evaluate", CLIP)
    assert code == 0, err
    assert "retrieval/top1" in said
    assert "held_out/contrastive/loss" in said


def test_a_run_of_captions_can_be_moved_and_goes_on_without_its_first_stage(trained, tmp_path):
    folder = trained[0]
    shutil.copytree(folder / DALLE, tmp_path / "moved")
    first = folder / DVAE
    first.rename(folder / "elsewhere")
    try:
        assert command("sample", tmp_path / "moved", "--prompt", "red", "--num", 1, "--out", tmp_path / "a.npz")[0] == 0
        code, _, err = train("--resume", tmp_path / "moved", "--steps", 6, experiment=emoji_dalle.EXPERIMENT)
        assert (code, err) == (0, "")
    finally:
        (folder / "elsewhere").rename(first)
    assert arrays(tmp_path / "a.npz")[0].shape == (1, 16, 16, 3)


def test_inpainting_and_walks_take_a_model_of_captions():
    assert command("inpaint", DIFFUSION, "--hide", "left", "--rows", 2, "--draws", 1)[0] == 0
    assert command("interpolate", DIFFUSION, "--rows", 1, "--steps", 2)[0] == 0
    assert command("evaluate", DIFFUSION, "--metrics", "kid", "--num-samples", 6)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ("sample", DALLE, "--prompt", "red square " * 5),
            "has .* tokens, but the captions of this run have at most",
        ),
        (("sample", DALLE, "--prompt", "Zürich"), "is not in the vocabulary"),
        (("sample", DALLE, "--prompt", "red", "--label", 3), "for which --label means nothing"),
        (("sample", DALLE, "--prompt", "red", "--sampler", "heun"), "--sampler is for diffusion models"),
        (("sample", DIFFUSION, "--prompt", "red", "--top-k", 3), "draws no tokens"),
        (("sample", DIFFUSION, "--prompt", "red", "--rank-with", DALLE), "--rank-with .* name one of emoji_clip"),
        (("sample", DIFFUSION, "--rank-with", CLIP, "--num", 20), "cannot be more than --candidates 16"),
        (("sample", DIFFUSION, "--candidates", 20), "--candidates needs --rank-with"),
        (("evaluate", DIFFUSION, "--candidates", 20), "--candidates needs --rank-with"),
        (("sample", DVAE, "--prompt", "red"), "for which --prompt means nothing"),
        (("sample", DVAE, "--nearest"), "for which --nearest means nothing"),
        (("sample", CLIP), "has no samples of its own"),
        (("evaluate", DALLE, "--metrics", "text_agreement"), "needs --text-scorer"),
        (("evaluate", DVAE, "--text-scorer", CLIP), "--text-scorer goes with the metric text_agreement"),
        (("evaluate", DALLE, "--text-scorer", CLIP, "--rank-with", CLIP), "must be different encoders"),
        (("evaluate", DALLE, "--text-scorer", CLIP, "--rank-with", CLIP, "--candidates", 1), "must be at least 2"),
        (("evaluate", DALLE, "--metrics", "kid", "--rank-with", CLIP), "--rank-with goes with --text-scorer"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(arguments, words):
    again = ("--overwrite",) if arguments[0] == "sample" else ()  # sheet.png is there already
    assert_refused(command(*arguments, *again), words)


def test_training_refuses_what_does_not_fit():
    wrong_size = ("--first-stage", DVAE, "--data", "mine", "--image-size", 32, *WRITTEN)
    for experiment, options, words in (
        (emoji_dalle, (), "name a run of emoji_dvae with --first-stage RUN"),
        (emoji_dalle, wrong_size, "the first stage, of 16x16x3, does not take"),
        (emoji_dalle, ("--first-stage", CLIP), "which has no codes"),
        (emoji_text_to_image, ("--network", "dit"), "--network dit takes no text"),
        (emoji_text_to_image, ("--data", "mnist"), "--data mnist has no captions"),
        (emoji_clip, ("--word-dropout", 1), "--word-dropout must be at least 0 and below 1"),
        (emoji_dvae, ("--image-size", 30), "sides must be multiples of 4"),
    ):
        assert_refused(train(*options, "--devices", 1, experiment=experiment.EXPERIMENT), words)
