"""Texts to tokens and back."""

import json

import numpy as np
import pytest

from jaxgen.core.errors import UserError
from jaxgen.data.vocabulary import characters_of, find_vocabulary, vocabulary_from_json

TEXT = "In the beginning was the Word,\nand the Word was with God. Ἐν ἀρχῇ ἦν ὁ λόγος. 👋\n"


@pytest.mark.parametrize("name", ["characters", "bytes", "bpe-300"])
def test_text_comes_back_from_its_tokens_and_the_vocabulary_from_its_json(name):
    vocabulary = find_vocabulary(name, TEXT)
    tokens = vocabulary.encode(TEXT)
    assert tokens.ndim == 1
    assert 0 <= tokens.min() <= tokens.max() < vocabulary.size
    assert vocabulary.decode(tokens) == TEXT
    again = vocabulary_from_json(json.loads(json.dumps(vocabulary.to_json())))
    assert again.size == vocabulary.size
    np.testing.assert_array_equal(again.encode(TEXT), tokens)
    assert again.decode(tokens) == TEXT


def test_the_sizes_are_those_of_the_characters_the_bytes_and_the_pieces_asked_for():
    assert find_vocabulary("characters", "abcab\n").size == 4
    assert find_vocabulary("bytes", "abcab\n").size == 256
    assert find_vocabulary("bpe-260", TEXT * 3).size == 260


def test_pieces_of_words_are_fewer_than_bytes_and_also_write_what_was_never_seen():
    vocabulary = find_vocabulary("bpe-300", TEXT)
    assert len(vocabulary.encode(TEXT)) < 0.8 * len(TEXT.encode())
    assert vocabulary.decode(vocabulary.encode("Zwölf Ἀ")) == "Zwölf Ἀ"


def test_bytes_cut_in_the_middle_of_a_character_are_shown_as_unknown():
    vocabulary = find_vocabulary("bytes", "")
    assert vocabulary.decode(vocabulary.encode("aλ")[:2]) == "a\ufffd"


def test_a_tokenizer_file_or_its_folder_can_be_named(tmp_path):
    learned = find_vocabulary("bpe-280", TEXT)
    (tmp_path / "tokenizer.json").write_text(learned.to_json()["tokeniser"])
    for name in (tmp_path, tmp_path / "tokenizer.json"):
        np.testing.assert_array_equal(find_vocabulary(str(name), "").encode(TEXT), learned.encode(TEXT))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("words", "neither characters, bytes, bpe-SIZE"),
        ("bpe-256", "needs a size from 257"),
        ("bpe-99999999999999999999", "to 1,000,000"),
        ("bpe-²", "neither characters"),
        ("bpe-many", "neither characters"),
    ],
)
def test_other_names_are_refused(name, message):
    with pytest.raises(UserError, match=message):
        find_vocabulary(name, TEXT)


def test_a_file_that_is_no_tokenizer_is_refused(tmp_path):
    (tmp_path / "odd.json").write_text("{}")
    with pytest.raises(UserError, match="is no tokenizer of the library tokenizers"):
        find_vocabulary(str(tmp_path / "odd.json"), TEXT)


def test_a_character_that_the_text_had_not_is_refused():
    with pytest.raises(UserError, match=r"The character 'ö' is not in the vocabulary.*--vocabulary bytes"):
        characters_of("abc").encode("abö")
