"""The command lines with sound: train, say words, refuse."""

import contextlib
import json
import re
import wave

import numpy as np
import pytest
from command_lines import assert_refused, command, train
from PIL import Image

from jaxgen.experiments import spoken_wavenet

OPTIONS = ("--preset", "quick", "--steps", 2, "--layers", 3, "--width", 4, "--gate-width", 4, "--skip-width", 4)
OPTIONS += ("--window", 256, "--context", 16, "--batch-size", 4, "--log-every", 1, "--sample-every", 1)
OPTIONS += ("--checkpoint-every", 1, "--eval-every", 0, "--devices", 1, "--sample-length", 300)
RUN = "runs/spoken_wavenet/001"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with runs/spoken_wavenet/001, of 2 steps, and what was said."""
    folder = tmp_path_factory.mktemp("audio")
    with contextlib.chdir(folder):
        return folder, train(*OPTIONS, experiment=spoken_wavenet.EXPERIMENT)


@pytest.fixture
def here(trained, monkeypatch):
    monkeypatch.chdir(trained[0])
    return trained[0]


def read_wav(path):
    """Samples of a file that must be 16-bit PCM of one channel at 8 kHz."""
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 8000)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


@pytest.mark.slow
def test_a_run_leaves_sounds_with_their_pictures(trained):
    folder, (code, out, err) = trained
    assert (code, err) == (0, "")
    samples = folder / RUN / "samples"
    names = [f"step_{step:07d}.{ending}" for step in (0, 1, 2) for ending in ("png", "wav")]
    assert sorted(path.name for path in samples.iterdir()) == names
    sound = read_wav(samples / "step_0000002.wav")
    assert len(sound) == 5 * 300 + 4 * 800
    assert np.abs(sound[:300]).max() > 0
    assert not sound[300:1100].any()
    assert Image.open(folder / RUN / "progress.gif").size == Image.open(samples / "step_0000002.png").size
    assert re.search(r"held out .*autoregressive/bits", out)
    typed = re.findall(r"^  jaxgen (.*)$", out, re.MULTILINE)
    assert [line.split()[0] for line in typed] == ["sample", "info"]
    assert typed[0].endswith("--out sound.wav")


@pytest.mark.slow
def test_the_loss_is_reported_in_bits_too(trained):
    _, (_, out, _) = trained
    values = dict(re.findall(r"(autoregressive/\w+) ([\d.]+)", out.split("\n  held out")[1].splitlines()[0]))
    assert float(values["autoregressive/bits"]) == pytest.approx(
        float(values["autoregressive/loss"]) / np.log(2), abs=2e-4
    )


@pytest.mark.slow
def test_words_are_said_one_after_another_each_as_long_as_its_clip(here):
    code, out, _ = command("sample", RUN, "--prompt", "B", "two", "--out", "two.wav", "--seed", 3)
    assert code == 0
    config = spoken_wavenet.load_data(spoken_wavenet.EXPERIMENT.presets["quick"]).assets
    lengths = [config["lengths"][config["words"].index(word)] for word in ("b", "two")]
    sound = read_wav(here / "two.wav")
    assert len(sound) == sum(lengths) + 800
    assert not sound[lengths[0] : lengths[0] + 800].any()
    assert Image.open(here / "two.png").size[0] > 500
    assert "2 sounds of spoken_wavenet at step 2" in out
    assert command("sample", RUN, "--prompt", "b", "two", "--out", "again.wav", "--seed", 3)[0] == 0
    np.testing.assert_array_equal(read_wav(here / "again.wav"), sound)
    number = config["words"].index("b")
    assert command("sample", RUN, "--label", number, "--out", "b.wav", "--seed", 3)[0] == 0
    assert len(read_wav(here / "b.wav")) == lengths[0]


@pytest.mark.slow
def test_what_no_clip_says_is_said_by_its_spelling(here):
    code, out, _ = command("sample", RUN, "--prompt", "bb", "--out", "bb.wav", "--temperature", 0)
    assert code == 0
    assert re.search(r"No clip says 'bb': it is said by its spelling alone, and takes as long as '\w+'\.", out)
    assert len(read_wav(here / "bb.wav")) > 4000


@pytest.mark.slow
def test_a_run_is_evaluated_on_the_held_out_samples(here):
    assert command("evaluate", RUN)[0] == 0
    values = json.loads((here / RUN / "evaluation.json").read_text())["evaluations"][-1]["values"]
    assert values["held_out/autoregressive/bits"] == pytest.approx(values["held_out/autoregressive/loss"] / np.log(2))
    assert 0 < values["held_out/autoregressive/bits"] < 9


@pytest.mark.slow
def test_logits_without_their_condition_are_not_exported(here):
    assert_refused(command("export", RUN, "--to", "logits", "--out", "x.stablehlo"), "has a condition")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--prompt", "7"), "The character '7' is in no word"),
        (("--prompt", ""), "nothing to say"),
        (("--label", 153), "--label 153 is no word of spoken_wavenet: choose 0 to 152"),
        (("--label", 1, "--prompt", "one"), "exclude each other"),
        (("--num-tokens", 5), "is a model of audio, for which --num-tokens means nothing"),
        (("--stop", "."), "is a model of audio, for which --stop means nothing"),
        (("--temperature", -1), "--temperature must be at least 0"),
        (("--num", 0), "--num must be at least 1"),
    ],
)
def test_impossible_sounds_are_refused_before_anything_is_written(here, options, message):
    assert_refused(command("sample", RUN, *options, "--out", "none.wav"), message)
    assert not (here / "none.wav").exists()


@pytest.mark.slow
def test_sounds_are_wav_files(here):
    assert_refused(command("sample", RUN, "--out", "none.mp3"), "must end in .wav")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--context", 256), "context must lie between 0 and the window's 256 samples"),
        (("--dropout", 1), "--dropout must be at least 0 and below 1"),
        (("--layers", 0), "--layers must be between 1 and 20"),
        (("--window", 1), "--window must be at least 2"),
    ],
)
def test_impossible_options_are_refused(here, options, message):
    assert_refused(train(*OPTIONS, *options, experiment=spoken_wavenet.EXPERIMENT), message)
