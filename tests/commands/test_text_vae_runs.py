"""The command lines with a VAE of lines: train, sample, look at its latents, evaluate."""

import contextlib

import pytest
from command_lines import assert_refused, command, train

from jaxgen.evaluation.records import read_evaluations
from jaxgen.experiments import kjv_text_vae

pytestmark = pytest.mark.slow

LINES = [f"{i} sheep and {i} goats." for i in range(100)]
OPTIONS = ("--preset", "quick", "--data", "mine.txt", "--vocabulary", "characters", "--steps", 2, "--width", 8)
OPTIONS += ("--context", 16, "--sample-length", 20, "--latent-size", 3, "--devices", 1, "--eval-every", 2)
RUN = "runs/kjv_text_vae/001"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lines")
    with contextlib.chdir(folder):
        (folder / "mine.txt").write_text("\n".join(LINES))
        return folder, train(*OPTIONS, experiment=kjv_text_vae.EXPERIMENT)


@pytest.fixture(autouse=True)
def in_its_folder(trained, monkeypatch):
    monkeypatch.chdir(trained[0])


def test_a_run_leaves_lines_and_they_are_drawn_by_seed(trained):
    folder, (code, _, err) = trained
    assert (code, err) == (0, "")
    assert len((folder / RUN / "samples" / "step_0000002.txt").read_text().splitlines()) == 16
    code, said, _ = command("sample", RUN, "--num", 3, "--num-tokens", 10)
    assert code == 0
    assert len(said.splitlines()) == 3
    assert command("sample", RUN, "--num", 3, "--num-tokens", 10)[1] == said
    assert command("sample", RUN, "--num", 3, "--num-tokens", 10, "--seed", 1)[1] != said


def test_latents_are_shown_by_lines(trained):
    code, said, _ = command("latent", RUN, "reconstruct", "--rows", 2)
    assert code == 0
    blocks = said.split("\n\n")
    assert [block.splitlines()[0] for block in blocks[:2]] == [line[:16] for line in LINES[90:92]]
    assert [len(block.splitlines()) for block in blocks] == [2, 2, 1]
    code, said, _ = command("latent", RUN, "interpolate", "--rows", 3, "--steps", 4, "--out", "walks.txt")
    assert code == 0
    walks = (trained[0] / "walks.txt").read_text().rstrip("\n").split("\n\n")
    assert [len(walk.split("\n")) for walk in walks] == [4, 4, 4]
    assert_refused(command("latent", RUN, "interpolate", "--out", "walks.png"), "must end in .txt")


@pytest.mark.slow
def test_walks_between_latents_of_the_prior_and_scatter_plots_work_too(trained):
    code, said, _ = command("interpolate", RUN, "--rows", 2, "--steps", 3)
    assert code == 0
    assert [len(walk.split("\n")) for walk in said.rstrip("\n").split("\n\n")] == [3, 3]
    assert command("latent", RUN, "scatter")[0] == 0
    assert (trained[0] / "latent_scatter.png").exists()


def test_the_bound_is_given_in_bits_a_character(trained):
    assert command("evaluate", RUN, "--num-samples", 5)[0] == 0
    values = read_evaluations(trained[0] / RUN)[-1]["values"]
    characters = sum(min(16, len(line) + 1) for line in LINES[90:])
    assert values["text/characters"] == characters
    bits = -values["held_out/text_vae/elbo"] * 10 / characters / 0.6931472
    assert values["text/bits_per_character"] == pytest.approx(bits, rel=1e-5)


def test_options_that_do_not_fit_are_refused():
    for options, said in (
        (("--micro-batches", 2), "--micro-batches"),
        (("--network", "gpt", "--width", 12, "--heads", 4), "--width 12 must be a multiple"),
        (("--word-dropout", 1.5), "--word-dropout"),
    ):
        assert_refused(train(*OPTIONS, *options, experiment=kjv_text_vae.EXPERIMENT), said)
