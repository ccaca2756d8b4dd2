"""Bad input: one sentence on the error stream, exit code 2, and nothing changed on disk."""

import json
import os
import sys

import pytest
from command_lines import assert_refused, classifier_experiment, command, train
from helpers import file_digests, overwrite_64_bytes, run_python
from PIL import Image

from jaxgen.experiments import (
    emoji_clip,
    emoji_sngan,
    emoji_text_to_image,
    image_dcgan,
    mnist_dcgan,
    mnist_diffusion,
    mnist_gan,
    mnist_infogan,
    mnist_vae,
)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--batch-size", 0), "--batch-size must be at least 1, not 0"),
        (("--steps", -3), "--steps must be at least 1, not -3"),
        (("--batch-size", 10, "--devices", 4), "--batch-size 10 cannot be split over 4 devices"),
        (("--devices", 9), "--devices 9 .* 8 cpu device"),
        (("--devices", 0), "--devices must be at least 1, not 0"),
        (("--resume",), "no run to resume in runs/tiny_experiment"),
        (("--resume", "runs/nothing"), "no run to resume in runs/nothing"),
        (("--run_dir", "runs/nothing", "--resume"), "no run to resume in runs/nothing"),
        (("--resume", "a\x1b[31m\nb"), r"no run to resume in a\\x1b\[31m\\nb "),
        (("--init-from", "nowhere"), "nowhere is not the folder of a run"),
        (("--process-id", 1), "need --coordinator"),
        (("--coordinator", "127.0.0.1:1"), "needs --num-processes and --process-id"),
        (("--best-metric", "eval/charm"), "eval/charm is not among .*eval/discriminator/loss"),
        (("--wandb", "project"), "needs the package wandb"),
    ],
)
def test_options_that_do_not_fit_are_refused_and_leave_nothing(here, monkeypatch, options, words):
    monkeypatch.setitem(sys.modules, "wandb", None)  # as where it is not installed
    assert_refused(train(*options), words)
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("options", [("--colour", "red"), ("--steps", "many"), ("--preset", "huge"), ("stray",)])
def test_flags_and_values_that_tyro_does_not_know_end_with_code_2(here, options):
    code, _, err = train(*options)
    assert code == 2
    assert options[-1] in err or options[0] in err
    assert "Traceback" not in err
    assert list(here.iterdir()) == []


def test_images_that_cannot_be_used_are_refused(here):
    (here / "empty").mkdir()
    (here / "broken").mkdir()
    (here / "broken" / "a.png").write_bytes(b"no picture")
    for options, words in [
        (("--data", "nonsense"), "nonsense"),
        (("--data", "empty"), "empty has no images"),
        (("--data", "./missing"), "no folder .*missing"),
        (("--data", "broken"), r"broken/a\.png cannot be read"),
        (("--data", "emoji", "--image-size", 30), "cannot make images of 30x30: use .* 32"),
        (("--data", "emoji", "--image-size", 0), "--image-size must be at least 1, not 0"),
        (("--data", "kjv"), "not images"),
    ]:
        assert_refused(train(*options, "--devices", 1, experiment=image_dcgan.EXPERIMENT), words)
    assert sorted(p.name for p in here.iterdir()) == ["broken", "empty"]


@pytest.mark.parametrize(
    ("experiment", "options", "words"),
    [
        (mnist_gan, ("--latent-size", 0), "--latent-size must be at least 1, not 0"),
        (mnist_dcgan, ("--discriminator-widths", 8, 0), "--discriminator-widths must each be at least 1"),
        (mnist_vae, ("--decay-factor", -1), "--decay-factor must be above 0"),
        (mnist_infogan, ("--num-uniform", 65), "--num-uniform must lie between 0 and --latent-size 64"),
        (emoji_sngan, ("--generator-width", 20, "--attention-size", 16), "channels that 8 divides, not 20"),
        (
            mnist_diffusion,
            ("--network", "dit", "--width", 50, "--head-width", 25),
            "--width 50 must be a multiple of 4",
        ),
        (emoji_text_to_image, ("--text-head-width", 1), "--text-head-width 1 must be even"),
        (emoji_clip, ("--head-width", 1), "--head-width 1 must be even"),
        (emoji_sngan, ("--data", "one", "--conditional"), "This data has no classes"),
    ],
)
def test_sizes_that_no_network_has_are_refused_and_leave_nothing(here, experiment, options, words):
    (here / "one").mkdir()
    Image.new("RGB", (32, 32)).save(here / "one" / "a.png")
    assert_refused(train(*options, "--devices", 1, experiment=experiment.EXPERIMENT), words)
    assert [path.name for path in here.iterdir()] == ["one"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--run-dir", "RUN"), "exists: give --resume .* --overwrite"),
        (("--run-dir", ".", "--overwrite"), r"only the folder of a run, and \. has no config\.json"),
        (("--resume",), "already has its 8 steps"),
        (("--resume", "--steps", 9, "--seed", 7), r"--seed \(was 0, now 7\)"),
        (("--resume", "RUN", "--steps", 9, "--batch-size", 32), r"--batch-size \(was 16, now 32\)"),
        (("--resume", "--steps", 9, "--latent-size", 3), r"--latent-size \(was 6, now 3\)"),
        (("--resume", "--overwrite"), "--resume and --overwrite"),
        (("--resume", "--steps", 9, "--init-from", "RUN"), "--resume .* --init-from"),
    ],
)
def test_a_run_that_exists_is_not_touched_by_a_refusal(tiny_copy, here, options, words):
    before = file_digests(here)
    options = [tiny_copy if option == "RUN" else option for option in options]
    assert_refused(train("--devices", 1, *options), words)
    assert file_digests(here) == before
    assert [p.name for p in tiny_copy.parent.iterdir()] == ["001"]


def test_a_run_is_resumed_by_its_own_experiment_only(tiny_copy):
    before = file_digests(tiny_copy)
    assert_refused(train("--resume", tiny_copy, experiment=mnist_gan.EXPERIMENT), "run of tiny_experiment, not of")
    assert file_digests(tiny_copy) == before


def test_a_checkpoint_of_another_config_is_refused(tiny_copy):
    record = json.loads((tiny_copy / "config.json").read_text())
    record["config"]["latent_size"] = 7
    (tiny_copy / "config.json").write_text(json.dumps(record))
    before = file_digests(tiny_copy)
    words = "cannot be read as this model's state: .* other network settings"
    assert_refused(command("sample", tiny_copy), words)
    assert_refused(train("--resume", tiny_copy, "--steps", 9, "--devices", 1), words)
    assert file_digests(tiny_copy) == before


@pytest.mark.parametrize("damage", ["", '{"config": {', "[]", "{}", '{"config": {"color": 1}}', "\x80"])
def test_a_damaged_config_is_refused(tiny_copy, damage):
    (tiny_copy / "config.json").write_text(damage, encoding="latin-1")
    before = file_digests(tiny_copy)
    for result in (
        command("sample", tiny_copy),
        command("info", tiny_copy),
        train("--resume", tiny_copy, "--steps", 9),
        train("--run-dir", tiny_copy, "--resume", "--preset", "quick", "--steps", 9),
    ):
        assert_refused(result, r"config\.json is damaged")
    assert file_digests(tiny_copy) == before


def test_an_option_of_another_version_is_refused(tiny_copy):
    record = json.loads((tiny_copy / "config.json").read_text())
    record["config"]["colour"] = "red"
    (tiny_copy / "config.json").write_text(json.dumps(record))
    assert_refused(command("sample", tiny_copy), r"config\.json has options .*colour")


def test_a_damaged_checkpoint_is_said_and_the_older_is_used(tiny_copy, here):
    overwrite_64_bytes(tiny_copy / "checkpoints" / "8" / "state")
    code, out, err = command("sample", tiny_copy, "--out", "x.npz")
    assert code == 0
    assert "at step 4" in out
    assert "Checkpoint 8" in err
    assert_refused(command("sample", tiny_copy, "--checkpoint", 8), "Checkpoint 8 .* damaged")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("sample", "nowhere"), "nowhere is not the folder of a run"),
        (("info", "."), "is not the folder of a run"),
        (("interpolate", "nowhere"), "is not the folder of a run"),
        (("sample", "RUN", "--out", "x.jpg"), r"--out x\.jpg must end in \.png or \.npz"),
        (("sample", "RUN", "--out", "no/folder/x.png"), "folder of --out .* does not exist"),
        (("sample", "RUN", "--num", 0), "--num must be at least 1, not 0"),
        (("sample", "RUN", "--checkpoint", 5), "no checkpoint of step 5 .* 8, 4"),
        (("sample", "RUN", "--checkpoint", "newest"), "--checkpoint is best, last or a step, not 'newest'"),
        (("sample", "RUN", "--checkpoint", "best"), "kept no best checkpoint: train with --best-metric"),
        (("interpolate", "RUN", "--out", "x.npz"), "must end in"),
        (("interpolate", "RUN", "--rows", 0), "--rows must be at least 1"),
        (("paint",), r"no command 'paint' \(did you mean inpaint"),
    ],
)
def test_commands_refuse_what_they_cannot_do(tiny_copy, here, arguments, words):
    before = file_digests(here)
    assert_refused(command(*(os.path.relpath(tiny_copy) if a == "RUN" else a for a in arguments)), words)
    assert file_digests(here) == before


def test_a_classifier_has_no_samples(here):
    code, out, err = train("--devices", 1, "--steps", 2, experiment=classifier_experiment(here / "judge.py"))
    assert code == 0, err
    assert "jaxgen sample" not in out
    assert not (here / "runs/judge/001/samples").exists()
    assert_refused(command("sample", "runs/judge/001"), "judge has no samples of its own")
    assert_refused(command("interpolate", "runs/judge/001"), "has no latents .*classify")


def test_real_processes_end_with_the_same_codes(here):
    done = run_python("-m", "jaxgen", "sample", "nowhere", cwd=here)
    assert_refused((done.returncode, done.stdout, done.stderr), "nowhere is not the folder of a run")
    done = run_python("-m", "jaxgen.experiments.mnist_gan", "--batch-size", 0, cwd=here)
    assert_refused((done.returncode, done.stdout, done.stderr), "--batch-size must be at least 1, not 0")
    assert list(here.iterdir()) == []
