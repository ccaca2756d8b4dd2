"""Captions: what is held out together, tokens and back, words left out, and folders of one's own."""

import json

import jax
import numpy as np
import pytest
from PIL import Image

from jaxgen.core.errors import UserError
from jaxgen.data.captions import caption_writer, first_captions, load_captioned, random_caption
from jaxgen.data.dataset import length, pick_examples
from jaxgen.data.embedded_sets import emoji_arrays
from jaxgen.data.loading import load
from jaxgen.experiments._captions import EMOJI_PROMPTS


@pytest.fixture(scope="module")
def emoji():
    return load_captioned("emoji", vocabulary="characters", caption_length=110)


def texts_of(data, split):
    writer = caption_writer(data.assets)
    return [[writer.decode(tokens) for tokens in captions] for captions in getattr(data, split)["captions"]]


def test_both_drawings_of_an_emoji_have_its_name_and_are_on_one_side(emoji):
    names = [" ".join(name.lower().split()) for name in emoji_arrays().names]
    for split in ("train", "test"):
        for captions, number in zip(texts_of(emoji, split), getattr(emoji, split)["emoji"], strict=True):
            assert captions[0] == names[number]
            assert captions[1].startswith(names[number] + ", ")
    assert not set(first_captions(emoji)) & {caption[0] for caption in texts_of(emoji, "train")}
    assert len(first_captions(emoji)) == 191
    plain = load("emoji")
    np.testing.assert_array_equal(emoji.test["image"], plain.test["image"])


def test_sheets_are_of_five_held_out_names_and_five_that_no_emoji_has(emoji):
    held_out = first_captions(emoji)
    known = [name.lower() for name in emoji_arrays().names]
    assert len(EMOJI_PROMPTS) == 10
    for prompt in EMOJI_PROMPTS[:5]:
        assert prompt in held_out
    for prompt in EMOJI_PROMPTS[5:]:
        assert prompt not in known


def test_a_batch_has_tokens_of_the_first_caption_padded_with_0(emoji):
    batch = emoji.prepare(pick_examples(emoji.test, [0, 1]))
    assert batch["caption"].shape == (2, 110)
    assert batch["caption"].dtype == np.int32
    np.testing.assert_array_equal(batch["caption"], batch["captions"][:, 0])
    row = np.asarray(batch["caption"][0])
    used = np.sum(row != 0)
    assert (row[:used] > 0).all()
    assert (row[used:] == 0).all()


def test_pieces_are_learned_from_what_is_trained_on_and_words_have_the_same_ones_wherever_they_stand():
    data = load_captioned("emoji", vocabulary="bpe-400")
    writer = caption_writer(data.assets)
    first, behind = writer.encode(["cat", "my cat"])
    pieces = first[first > 0]
    assert behind[behind > 0][-len(pieces) :].tolist() == pieces.tolist()
    assert writer.decode(writer.encode(["Cat  FACE"])[0]) == "cat face"
    assert writer.encode(["a zebra's wry été ☃"]).max() < writer.size  # any text can be written
    with pytest.raises(UserError, match=r"has .* tokens, but the captions of this run have at most 24"):
        writer.encode(["zebra " * 30])
    assert writer.encode(["zebra " * 30], cut=True).shape == (1, 24)


def test_words_are_left_out_whole_and_in_order_by_the_key(emoji):
    writer = caption_writer(emoji.assets)
    captions = writer.encode(["one two three four", "five six"])
    draw = jax.jit(jax.vmap(lambda key: random_caption(key, captions, writer.word_starts(), word_dropout=0.5)))
    keys = jax.random.split(jax.random.key(0), 300)
    drawn = [writer.decode(np.asarray(tokens)) for tokens in draw(keys)]
    assert drawn == [writer.decode(np.asarray(tokens)) for tokens in draw(keys)]
    for text in drawn:
        words = text.split()
        assert words
        assert any(sorted(words, key=own.index) == words for own in (ALL[0], ALL[1]) if set(words) <= set(own))
    share = np.mean([len(text.split()) / 4 for text in drawn if set(text.split()) <= set(ALL[0])])
    assert share == pytest.approx(0.5 + 0.5**4, abs=0.06)  # all are kept where none would be
    assert np.mean([set(text.split()) <= set(ALL[0]) for text in drawn]) == pytest.approx(0.5, abs=0.1)
    whole = random_caption(keys[0], captions[:1], writer.word_starts())
    np.testing.assert_array_equal(whole, captions[0])


ALL = [["one", "two", "three", "four"], ["five", "six"]]


# ---------------------------------------------------------------- folders


@pytest.fixture
def folder(tmp_path):
    """Six images, two of each of three colors."""
    for i, color in enumerate(("red", "green", "blue") * 2):
        Image.new("RGB", (8, 8), color).save(tmp_path / f"{i}.png")
        (tmp_path / f"{i}.txt").write_text(f"a {color} square\n" + (f"{color}\n" if i < 3 else ""))
    return tmp_path


@pytest.mark.parametrize("resident", [True, False])
def test_text_files_beside_images_are_their_captions_and_equal_ones_are_held_out_together(
    folder, resident, monkeypatch
):
    if not resident:
        monkeypatch.setattr("jaxgen.data.image_folder.megabytes", lambda *sizes: 1e9)
    data = load_captioned(str(folder), vocabulary="characters", test_fraction=0.34)
    assert (length(data.train), length(data.test)) == (4, 2)
    writer = caption_writer(data.assets)
    assert first_captions(data) == ["a red square"]
    batch = data.prepare(pick_examples(data.test, [0, 1]))
    assert [writer.decode(row) for row in np.asarray(batch["captions"][0])] == ["a red square", "red"]
    assert [writer.decode(row) for row in np.asarray(batch["captions"][1])] == ["a red square"] * 2
    np.testing.assert_array_equal(batch["image"][:, 0, 0], [[1, -1, -1]] * 2)


@pytest.mark.parametrize("name", ["captions.csv", "captions.jsonl"])
def test_one_table_may_hold_all_captions(folder, name):
    rows = [{"file_name": f"{i}.png", "text": f"number {i}"} for i in range(6)]
    lines = [json.dumps(row) for row in rows]
    if name.endswith("csv"):
        lines = ["file,caption"] + [f"{row['file_name']},{row['text']}" for row in rows]
    (folder / name).write_text("\n".join(lines))
    data = load_captioned(str(folder), vocabulary="characters")
    assert first_captions(data) == [f"number {i}" for i in range(6)]
    (folder / name).write_text("\n".join(lines[:-1]))
    with pytest.raises(UserError, match=f"5.png of .* has no caption: give it its row in {name}"):
        load_captioned(str(folder), vocabulary="characters")


def test_what_has_no_captions_is_refused_in_one_sentence(folder):
    (folder / "3.txt").unlink()
    with pytest.raises(UserError, match=r"3.png of .* has no caption: give it a text file 3.txt beside it"):
        load_captioned(str(folder))
    with pytest.raises(UserError, match="--data mnist has no captions"):
        load_captioned("mnist")
    (folder / "captions.csv").write_text("picture,caption\n0.png,red")
    with pytest.raises(UserError, match=r"captions\.csv has no file among its columns, which are picture, caption"):
        load_captioned(str(folder))
    with pytest.raises(UserError, match="--caption-length must be at least 1"):
        load_captioned("emoji", caption_length=0)
