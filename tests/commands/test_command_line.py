"""The command lines on good input: the files that a run writes, and the commands that use them."""

import contextlib
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny_experiment
from command_lines import assert_refused, command, train
from helpers import file_digests, run_python, saved_digest
from PIL import Image

from jaxgen.experiments import mnist_gan
from jaxgen.training import checkpoint, run_folder

# ---------------------------------------------------------------- good input


def test_a_run_of_mnist_gan_leaves_the_documented_files(mnist):
    folder, (code, _, err) = mnist
    assert (code, err) == (0, "")
    run_dir = folder / "runs" / "mnist_gan" / "001"
    assert {p.name for p in run_dir.iterdir()} == {
        *(
            "config.json",
            "data.json",
            "metrics.jsonl",
            "tensorboard",
            "samples",
            "progress.gif",
            "losses.png",
            "checkpoints",
        ),
        "checkpoints_best",
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
            assert command("sample", "runs/tiny_experiment/001", "--num", 9, "--out", out, "--checkpoint", step)[0] == 0
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


def test_info_marks_what_is_not_the_default_of_any_group(tiny_copy):
    path = tiny_copy / "config.json"
    record = json.loads(path.read_text())
    record["config"] |= {"seed": 7, "latent_size": 9}
    del record["config"]["steps"]  # then it is the default
    path.write_text(json.dumps(record))
    lines = [line.split() for line in command("info", tiny_copy)[1].splitlines()]
    assert ["steps", "8", "of", "8"] in lines
    assert [line[:2] for line in lines if "default)" in line] == [
        ["--seed", "7"],
        ["--devices", "1"],
        ["--latent-size", "9"],
    ]


def test_list_names_every_experiment():
    code, out, _ = command("list")
    assert code == 0
    for path in Path(mnist_gan.__file__).parent.glob("[a-z]*.py"):
        assert path.stem in out
    assert out.index("GAN\n") < out.index("VAE\n") < out.index("diffusion\n")
    assert all(len(line) <= 80 for line in out.splitlines())


def test_list_shows_those_that_have_all_words():
    code, out, _ = command("list", "Emoji", "sngan")
    assert code == 0
    assert "emoji_sngan" in out
    assert "mnist" not in out
    assert_refused(command("list", "mnist_gna"), r"No experiment has mnist_gna in it \(did you mean mnist_gan\?\)")


def test_help_is_printed(here):
    code, out, _ = train("--help")
    assert code == 0
    assert "Length of the latent vectors." in out
    assert command("--help")[0] == 0
    assert command("sample", "--help")[0] == 0
    assert list(here.iterdir()) == []


@pytest.mark.slow  # a process of its own
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
