"""`load` and the sets that come with the package."""

import subprocess
import sys

import numpy as np
import pytest

from jaxgen.core.errors import UserError
from jaxgen.data import embedded_sets, length, load


def test_mnist_is_split_as_published():
    data = load("mnist")
    assert length(data.train) == 60_000
    assert length(data.test) == 10_000
    assert data.train["image"].shape == (60_000, 28, 28, 1)
    assert data.train["label"][:5].tolist() == [5, 0, 4, 1, 9]
    assert data.assets["class_names"] == list("0123456789")


def test_mnist_of_32_pixels_is_padded_with_black():
    native, padded = load("mnist").test["image"], load("mnist", image_size=32).test["image"]
    assert padded.shape == (10_000, 32, 32, 1)
    np.testing.assert_array_equal(padded[:, 2:-2, 2:-2], native)
    assert padded.sum(dtype=np.int64) == native.sum(dtype=np.int64)


def test_mnist_may_have_three_channels():
    image = load("mnist", channels=3).test["image"]
    assert image.shape == (10_000, 28, 28, 3)
    assert (image[..., 0] == image[..., 2]).all()


def test_no_emoji_is_in_both_train_and_test():
    data = load("emoji")
    assert length(data.train) + length(data.test) == 2 * 1911
    assert length(data.test) == 2 * 191
    assert not set(data.train["emoji"]) & set(data.test["emoji"])


def test_emoji_are_of_two_styles_in_the_same_order():
    arrays, data = embedded_sets.emoji_arrays(), load("emoji")
    google, twitter = (data.train["style"] == style for style in (0, 1))
    np.testing.assert_array_equal(data.train["emoji"][google], data.train["emoji"][twitter])
    np.testing.assert_array_equal(data.train["image"][google], arrays.google[data.train["emoji"][google]])
    np.testing.assert_array_equal(data.train["image"][twitter], arrays.twitter[data.train["emoji"][twitter]])
    names = [data.assets["class_names"][label] for label in data.test["label"]]
    assert names == [arrays.categories[number] for number in data.test["emoji"]]


def test_emoji_are_scaled():
    assert load("emoji", image_size=16, channels=1).test["image"].shape == (382, 16, 16, 1)


@pytest.mark.parametrize("sequence_length", [64, 1000])
def test_windows_of_the_text_predict_each_character_once(sequence_length):
    data, text = load("kjv", sequence_length=sequence_length), embedded_sets.kjv_text()
    vocabulary = np.frombuffer(data.assets["vocabulary"]["characters"].encode(), np.uint8)

    def read(tokens):
        return vocabulary[tokens].tobytes().decode()

    tokens = data.train["tokens"]
    assert tokens.shape == ((int(0.9 * len(text)) - 1) // sequence_length, sequence_length + 1)
    assert tokens.dtype == np.uint8
    targets = read(tokens[:, 1:])
    assert targets == text[1 : 1 + len(targets)]
    assert read(tokens[:, :-1]) == text[: len(targets)]
    start = int(0.9 * len(text))
    assert read(data.test["tokens"][0]) == text[start : start + sequence_length + 1]
    assert data.kind == "text"
    assert len(vocabulary) == 73


@pytest.mark.parametrize("sequence_length", [0, 10**7])
def test_an_impossible_sequence_length_is_refused(sequence_length):
    with pytest.raises(UserError, match="sequence length must lie between"):
        load("kjv", sequence_length=sequence_length)


def test_spoken_clips_are_padded_with_silence():
    data, clips = load("spoken"), embedded_sets.spoken_clips()
    audio, lengths = data.train["audio"], data.train["length"]
    assert audio.shape == (155, 12582)
    start = 0
    for i, size in enumerate(lengths):
        np.testing.assert_array_equal(audio[i, :size], clips.codes[start : start + size])
        assert (audio[i, size:] == 128).all()
        start += size
    assert [data.assets["words"][label] for label in data.train["label"]] == clips.words
    assert data.assets["sample_rate"] == 8000


def test_text_and_sound_are_prepared_as_they_are():
    batch = {"tokens": np.arange(3)}
    assert load("kjv").prepare(batch) is batch


@pytest.mark.parametrize(("name", "meant"), [("mnits", "mnist"), ("emojis", "emoji"), ("celeba", "celeb_a")])
def test_an_unknown_name_lists_the_embedded_ones_and_the_closest(name, meant):
    with pytest.raises(UserError, match=rf"did you mean {meant}\?.*choose from mnist, emoji, kjv, spoken"):
        load(name)


@pytest.mark.parametrize("name", ["", "my photos/cats", "a/b/c", "kaggle:cats"])
def test_what_is_no_name_at_all_is_an_unknown_name(name):
    with pytest.raises(UserError, match="No data is named"):
        load(name)


@pytest.mark.parametrize("options", [{"image_size": 0}, {"channels": 2}])
def test_impossible_images_are_refused(options):
    with pytest.raises(UserError):
        load("mnist", **options)


def test_importing_the_data_package_loads_nothing_heavy():
    code = (
        "import sys, jaxgen.data\n"
        "print([n for n in ('grain', 'tensorflow_datasets', 'tensorflow', 'PIL', 'scipy') if n in sys.modules])"
    )
    heavy = subprocess.run([sys.executable, "-c", "import jax; " + code], capture_output=True, text=True, check=True)
    bare = subprocess.run(
        [sys.executable, "-c", "import jax, sys; " + code.replace(", jaxgen.data", "")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert heavy.stdout == bare.stdout
