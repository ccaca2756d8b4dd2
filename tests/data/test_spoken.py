"""Windows of spoken words: each sample once, with what comes before it and what is said."""

import functools

import numpy as np
import pytest

from jaxgen.core.errors import UserError
from jaxgen.data import embedded_sets
from jaxgen.data.spoken import held_out_start, load_spoken_windows, nearest_word, words_to_say

CLIPS = embedded_sets.spoken_clips()
ENDS = np.cumsum(CLIPS.lengths)
SETTINGS = [(2048, 512, 2047), (700, 0, 100), (12_000, 3_000, 5)]


@functools.cache
def windows(*arguments):
    return load_spoken_windows(*arguments)


def clips_of(data, split):
    """Of each window, the number of its clip: two words are said twice, in clips of different lengths."""
    words = [data.assets["words"][label] for label in split["label"]]
    known = {(word, length): i for i, (word, length) in enumerate(zip(CLIPS.words, CLIPS.lengths, strict=True))}
    assert len(known) == 155
    return [known[key] for key in zip(words, split["length"], strict=True)]


@pytest.mark.parametrize("arguments", SETTINGS)
def test_each_sample_is_predicted_once_to_train_or_held_out(arguments):
    data = windows(*arguments)
    counts = {}
    for name in ("train", "test"):
        split = getattr(data, name)
        counts[name] = np.zeros(ENDS[-1], int)
        for clip, start, tokens, weights in zip(
            clips_of(data, split), split["start"], split["tokens"], split["weights"], strict=True
        ):
            first = ENDS[clip] - CLIPS.lengths[clip]
            places = first + start + np.flatnonzero(weights)
            assert places.max() < ENDS[clip]
            counts[name][places] += 1
            np.testing.assert_array_equal(tokens[1:][weights > 0], CLIPS.codes[places])
    place = np.arange(ENDS[-1]) - np.repeat(ENDS - CLIPS.lengths, CLIPS.lengths)
    held_out = place >= np.repeat(held_out_start(CLIPS.lengths), CLIPS.lengths)
    np.testing.assert_array_equal(counts["train"], ~held_out)
    np.testing.assert_array_equal(counts["test"], held_out)
    assert held_out.mean() == pytest.approx(0.15, abs=1e-3)


@pytest.mark.parametrize("arguments", SETTINGS)
def test_before_what_is_predicted_lies_its_context_or_the_whole_beginning_of_the_clip(arguments):
    _, context, test_context = arguments
    data = windows(*arguments)
    for split, least in ((data.train, context), (data.test, test_context)):
        for clip, start, tokens, weights in zip(
            clips_of(data, split), split["start"], split["tokens"], split["weights"], strict=True
        ):
            first = int(np.argmax(weights))
            assert start == 0 or first >= least
            codes = CLIPS.codes[ENDS[clip] - CLIPS.lengths[clip] : ENDS[clip]]
            before = codes[start - 1 : start + first] if start else np.concatenate([[128], codes[:first]])
            np.testing.assert_array_equal(tokens[: first + 1], before)
    assert (data.test["weights"].sum(1) > 0).all()
    assert len(data.test["start"]) == 155


def test_no_window_to_train_holds_a_held_out_sample():
    data = windows(*SETTINGS[2])  # longer than all that there is to train on
    last = held_out_start(data.train["length"]) - data.train["start"]
    behind = np.arange(1, data.train["tokens"].shape[1]) > last[:, None]
    assert behind.any()
    assert (data.train["tokens"][:, 1:][behind] == 128).all()
    assert not data.train["weights"][behind].any()


def test_a_window_says_what_is_said_in_its_clip():
    data = windows(*SETTINGS[0])
    written = data.assets["characters"]
    for row, label in zip(data.train["characters"], data.train["label"], strict=True):
        assert "".join(written[number - 1] for number in row if number) == data.assets["words"][label]
    assert data.prepare(dict(data.train))["weights"].dtype == np.float32


def test_an_impossible_context_is_refused():
    with pytest.raises(UserError, match="between 0 and the window's 100 samples, not 100"):
        load_spoken_windows(100, 100)


# ---------------------------------------------------------------- what is to be said


def test_known_words_have_their_number_and_length_and_others_those_of_the_nearest():
    assets = windows(*SETTINGS[0]).assets
    said = words_to_say(assets, ["seven", "sevens"])
    number = assets["words"].index("seven")
    assert said["label"].tolist() == [number, -1]
    assert said["length"].tolist() == [CLIPS.lengths[CLIPS.words.index("seven")]] * 2
    assert nearest_word(assets["words"], "sevens") == "seven"
    assert nearest_word(assets["words"], "'") in assets["words"]
    assert said["characters"].shape == (2, 6)
    assert said["characters"][0, 5] == 0


@pytest.mark.parametrize(("text", "message"), [("", "nothing to say"), ("7", "'7' is in no word of the set")])
def test_what_cannot_be_said_is_refused(text, message):
    with pytest.raises(UserError, match=message):
        words_to_say(windows(*SETTINGS[0]).assets, ["one", text])
