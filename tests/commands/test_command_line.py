"""The command lines, from start to samples: what good input leaves behind, and what bad input is told."""

import contextlib
import io
import json
import os
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny_experiment
from helpers import file_digests, overwrite_64_bytes, run_python, saved_digest
from PIL import Image

from jaxgen.__main__ import run as jaxgen
from jaxgen.experiment import run
from jaxgen.experiments import image_dcgan, mnist_gan
from jaxgen.training import checkpoint, run_folder

MNIST = ("--preset", "quick", "--steps", 6, "--batch-size", 500, "--devices", 1, "--steps-per-dispatch", 3)
MNIST += ("--log-every", 2, "--sample-every", 3, "--checkpoint-every", 3)
TINY = tiny_experiment.EXPERIMENT
CLASSIFIER = (
    Path(tiny_experiment.__file__)
    .read_text()
    .replace("from jaxgen.models import gan", "from jaxgen.models import classifier, gan")
    .replace(
        'Dataset("noise", Streamed(images) if config.streamed else {"image": images}, {"image": images[:21]})',
        'Dataset("noise", {"image": images, "label": np.arange(50, dtype=np.int32) % 10})',
    )
    .replace(
        "    return gan(\n", "    return classifier(MLPDiscriminator(), optimiser=optax.sgd(0.1))\n    return gan(\n"
    )
)


def call(function, *arguments):
    """(exit code, stdout, stderr) of a command line, in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = function(*arguments)
        except SystemExit as stop:  # tyro's, for flags it does not know
            code = stop.code
    return code, out.getvalue(), err.getvalue()


def train(*options, experiment=TINY):
    return call(run, experiment, [str(option) for option in options])


def command(*arguments):
    return call(jaxgen, [str(argument) for argument in arguments])


def assert_refused(result, words, code=2):
    """One sentence on the error stream that matches `words`, and the exit code for bad input."""
    actual, _, err = result
    assert actual == code, result
    assert re.fullmatch(r"error: [^\n]*\.\n", err), err
    assert re.search(words, err), err


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def mnist(tmp_path_factory):
    """A folder with runs/mnist_gan/001, and what was said."""
    folder = tmp_path_factory.mktemp("mnist")
    with contextlib.chdir(folder):
        return folder, train(*MNIST, experiment=mnist_gan.EXPERIMENT)


@pytest.fixture(scope="module")
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


# ---------------------------------------------------------------- good input


def test_a_run_of_mnist_gan_leaves_the_documented_files(mnist):
    folder, (code, _, err) = mnist
    assert (code, err) == (0, "")
    run_dir = folder / "runs" / "mnist_gan" / "001"
    assert {p.name for p in run_dir.iterdir()} == {
        *("config.json", "metrics.jsonl", "tensorboard", "samples", "progress.gif", "losses.png", "checkpoints")
    }
    for name in (p.name for p in run_dir.iterdir()):
        assert re.search(rf"^    {re.escape(name)}[/ ]", run_folder.__doc__, re.MULTILINE), name
    assert sorted(p.name for p in (run_dir / "samples").iterdir()) == [f"step_{i:07d}.png" for i in (0, 3, 6)]
    assert checkpoint.steps_on_disk(run_dir / "checkpoints") == [6, 3]
    record = json.loads((run_dir / "config.json").read_text())
    assert record["experiment"] == {"name": "mnist_gan", "module": "jaxgen.experiments.mnist_gan", "file": None}
    assert record["config"]["batch_size"] == 500
    assert record["assets"]["image_shape"] == [28, 28, 1]
    assert str(folder) not in (run_dir / "config.json").read_text()


def test_the_summary_says_what_to_do_next_and_that_can_be_typed(mnist):
    folder, (_, out, _) = mnist
    assert "Done: 6 steps" in out
    for name in ("samples/step_0000006.png", "progress.gif", "losses.png", "checkpoints"):
        assert f"runs/mnist_gan/001/{name}" in out
    typed = re.findall(r"^  jaxgen (.*)$", out, re.MULTILINE)
    assert [line.split()[0] for line in typed] == ["sample", "interpolate", "info"]
    assert "python -m jaxgen.experiments.mnist_gan --resume runs/mnist_gan/001 --steps 12" in out
    with contextlib.chdir(folder):
        for line in typed:
            assert command(*line.split())[0] == 0, line
        assert (folder / "sheet.png").is_file()
        assert (folder / "between.gif").is_file()


def test_runs_are_numbered_and_resume_takes_the_latest(tiny_copy, here):
    one = file_digests(tiny_copy)
    code, out, _ = train("--devices", 1, "--steps", 5)
    assert code == 0
    assert "run folder runs/tiny_experiment/002" in out
    code, out, _ = train("--resume", "--devices", 1, "--steps", 8)
    assert code == 0
    assert "resuming runs/tiny_experiment/002 at step 5" in out
    assert saved_digest(tiny_copy.parent / "002", 8) == saved_digest(tiny_copy, 8)
    assert file_digests(tiny_copy) == one
    assert sorted(p.name for p in tiny_copy.parent.iterdir()) == ["001", "002"]


@pytest.mark.parametrize("named", ["001", "runs/tiny_experiment/001"])
def test_a_run_is_resumed_by_name_with_more_steps(tiny_copy, here, named):
    (tiny_copy.parent / "007").mkdir()
    code, out, err = train("--resume", named, "--steps", 10)
    assert code == 0, err
    assert "at step 8\n" in out
    assert json.loads((tiny_copy / "config.json").read_text())["config"]["steps"] == 10
    assert checkpoint.steps_on_disk(tiny_copy / "checkpoints") == [10, 8]


def test_a_resumed_run_keeps_the_options_it_was_started_with(here):
    assert train("--devices", 1, "--latent-size", 3, "--seed", 4, "--steps", 4)[0] == 0
    code, _, err = train("--resume", "--steps", 6)
    assert code == 0, err
    record = json.loads((here / "runs/tiny_experiment/001/config.json").read_text())
    assert (record["config"]["latent_size"], record["config"]["seed"]) == (3, 4)


def test_a_run_that_began_with_the_weights_of_another_can_be_resumed(tiny_copy, here):
    options = ("--devices", 1, "--init-from", tiny_copy)
    assert train(*options, "--steps", 8)[0] == 0
    assert train(*options, "--steps", 4)[0] == 0
    code, _, err = train("--resume", "003", "--steps", 8)
    assert code == 0, err
    assert saved_digest(tiny_copy.parent / "003", 8) == saved_digest(tiny_copy.parent / "002", 8)
    record = json.loads((tiny_copy.parent / "003" / "config.json").read_text())
    assert record["config"]["init_from"] == str(tiny_copy)


def test_overwrite_starts_a_run_anew(tiny_copy):
    before = saved_digest(tiny_copy, 8)
    code, _, err = train("--run-dir", tiny_copy, "--overwrite", "--devices", 1, "--seed", 1, "--steps", 8)
    assert code == 0, err
    assert saved_digest(tiny_copy, 8) != before


def test_the_same_seed_gives_the_same_samples(tiny):
    with contextlib.chdir(tiny):
        for name, *options in (("a", 0), ("b", 0), ("c", 1), ("d", 0)):
            number = 300 if name == "d" else 10
            out = f"{name}.npz"
            code, said, _ = command(
                "sample", "runs/tiny_experiment/001", "--seed", options[0], "--num", number, "--out", out
            )
            assert code == 0
            assert out in said
        a, b, c, d = (np.load(f"{name}.npz")["samples"] for name in "abcd")
    assert a.shape == (10, 8, 8, 1)
    assert np.abs(a).max() <= 1.0
    np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(a, d[:10])
    assert len(np.unique(d, axis=0)) == 300
    assert not np.array_equal(a, c)


def test_a_sheet_and_an_older_checkpoint_can_be_drawn(tiny):
    with contextlib.chdir(tiny):
        for step in (4, 8):
            out = f"{step}.png"
            assert command("sample", "runs/tiny_experiment/001", "--num", 9, "--out", out, "--step", step)[0] == 0
            with Image.open(out) as sheet:
                assert sheet.width == sheet.height
        assert Path("4.png").read_bytes() != Path("8.png").read_bytes()


def test_walks_between_latents_are_drawn(tiny):
    with contextlib.chdir(tiny):
        options = ("runs/tiny_experiment/001", "--rows", 2, "--steps", 5)
        assert command("interpolate", *options, "--out", "walk.png")[0] == 0
        assert command("interpolate", *options, "--out", "walk.gif")[0] == 0
        with Image.open("walk.png") as grid, Image.open("walk.gif") as gif:
            assert grid.width / grid.height == pytest.approx((5 * 10 + 2) / (2 * 10 + 2))
            assert gif.n_frames == 8  # there and back


def test_info_says_what_a_run_is(tiny):
    with contextlib.chdir(tiny):
        code, out, _ = command("info", "runs/tiny_experiment/001")
    assert code == 0
    for words in ("tiny_experiment: a tiny GAN", "8 of 8", "4, 8", "generator/loss", "--latent-size"):
        assert words in out, words


def test_list_names_every_experiment():
    code, out, _ = command("list")
    assert code == 0
    for path in Path(mnist_gan.__file__).parent.glob("[a-z]*.py"):
        assert path.stem in out


def test_help_is_printed(here):
    code, out, _ = train("--help")
    assert code == 0
    assert "Length of the latent vectors." in out
    assert command("--help")[0] == 0
    assert command("sample", "--help")[0] == 0
    assert list(here.iterdir()) == []


def test_an_experiment_of_ones_own_is_found_again_without_its_file(here):
    script = here / "mine.py"
    shutil.copy(tiny_experiment.__file__, script)
    done = run_python(script, "--steps", 4, cwd=here)
    assert done.returncode == 0, done.stderr
    assert f"python {script} --resume runs/mine/001" in done.stdout
    script.unlink()
    code, _, err = command("sample", "runs/mine/001", "--num", 3, "--out", "x.npz")
    assert code == 0, err
    assert np.load("x.npz")["samples"].shape == (3, 8, 8, 1)
    assert "mine: a tiny GAN" in command("info", "runs/mine/001")[1]


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--batch-size", 0), "--batch-size must be at least 1, not 0"),
        (("--steps", -3), "--steps must be at least 1, not -3"),
        (("--batch-size", 10, "--devices", 4), "--batch-size 10 cannot be split over 4 devices"),
        (("--devices", 9), "--devices 9 .* 8 cpu device"),
        (("--devices", 0), "--devices 0"),
        (("--resume",), "no run to resume in runs/tiny_experiment"),
        (("--resume", "runs/nothing"), "no run to resume in runs/nothing"),
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
        (("--data", "emoji", "--image-size", 0), "at least 1 pixel"),
        (("--data", "kjv"), "not images"),
    ]:
        assert_refused(train(*options, "--devices", 1, experiment=image_dcgan.EXPERIMENT), words)
    assert sorted(p.name for p in here.iterdir()) == ["broken", "empty"]


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


@pytest.mark.parametrize("damage", ["", '{"config": {', "[]", "{}", '{"config": {"colour": 1}}', "\x80"])
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
    assert_refused(command("sample", tiny_copy, "--step", 8), "Checkpoint 8 .* damaged")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("sample", "nowhere"), "nowhere is not the folder of a run"),
        (("info", "."), "is not the folder of a run"),
        (("interpolate", "nowhere"), "is not the folder of a run"),
        (("sample", "RUN", "--out", "x.jpg"), r"--out x\.jpg must end in \.png or \.npz"),
        (("sample", "RUN", "--out", "no/folder/x.png"), "folder of --out .* does not exist"),
        (("sample", "RUN", "--num", 0), "--num must be at least 1, not 0"),
        (("sample", "RUN", "--step", 5), "no checkpoint of step 5 .* 8, 4"),
        (("interpolate", "RUN", "--out", "x.npz"), "must end in"),
        (("interpolate", "RUN", "--rows", 0), "--rows must be at least 1"),
        (("paint",), "no command 'paint': use list, sample"),
    ],
)
def test_commands_refuse_what_they_cannot_do(tiny_copy, here, arguments, words):
    before = file_digests(here)
    assert_refused(command(*(os.path.relpath(tiny_copy) if a == "RUN" else a for a in arguments)), words)
    assert file_digests(here) == before


def test_a_classifier_has_no_samples(here):
    (here / "judge.py").write_text(
        CLASSIFIER.replace("MLPDiscriminator()", "ConvClassifier(10, (4,), 8)").replace(
            "from jaxgen.networks.mlp",
            "from jaxgen.networks.classifier import ConvClassifier\nfrom jaxgen.networks.mlp",
        )
    )
    from jaxgen.experiment import load_experiment

    code, out, err = train("--devices", 1, "--steps", 2, experiment=load_experiment(None, here / "judge.py"))
    assert code == 0, err
    assert "jaxgen sample" not in out
    assert not (here / "runs/judge/001/samples").exists()
    assert_refused(command("sample", "runs/judge/001"), "judge is no generative model")
    assert_refused(command("interpolate", "runs/judge/001"), "has no function 'prior' .*classify")


def test_real_processes_end_with_the_same_codes(here):
    done = run_python("-m", "jaxgen", "sample", "nowhere", cwd=here)
    assert_refused((done.returncode, done.stdout, done.stderr), "nowhere is not the folder of a run")
    done = run_python("-m", "jaxgen.experiments.mnist_gan", "--batch-size", 0, cwd=here)
    assert_refused((done.returncode, done.stdout, done.stderr), "--batch-size must be at least 1, not 0")
    assert list(here.iterdir()) == []
