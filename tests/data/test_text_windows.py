"""Texts as windows: from files, from tensorflow-datasets, by any vocabulary."""

import numpy as np
import pytest
from test_tfds_source import write_set

from jaxgen.core.errors import UserError
from jaxgen.data.text import load_text
from jaxgen.data.vocabulary import vocabulary_from_json

TEXT = "".join(f"line {i}, and then some.\n" for i in range(100))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text(TEXT)
    return path


@pytest.mark.parametrize("vocabulary", ["characters", "bytes", "bpe-300"])
def test_windows_of_a_file_predict_each_token_but_the_first_once(file, vocabulary):
    data = load_text(str(file), sequence_length=7, vocabulary=vocabulary)
    known = vocabulary_from_json(data.assets["vocabulary"])
    tokens = known.encode(TEXT)
    border = int(0.9 * len(tokens))
    for split, part in ((data.train, tokens[:border]), (data.test, tokens[border:])):
        windows = split["tokens"]
        assert windows.shape == ((len(part) - 1) // 7, 8)
        assert windows.dtype == (np.uint16 if vocabulary == "bpe-300" else np.uint8)
        np.testing.assert_array_equal(windows[:, 1:].ravel(), part[1 : 1 + 7 * len(windows)])
        np.testing.assert_array_equal(windows[1:, 0], windows[:-1, -1])
    assert data.kind == "text"


def test_a_set_of_texts_is_read_with_its_own_splits(tmp_path):
    import tensorflow_datasets as tfds

    texts = {"train": [f"first {i}" for i in range(20)], "validation": [f"second {i}" for i in range(5)]}
    write_set(
        tmp_path, "sayings", {"text": tfds.features.Text()}, {k: [{"text": t} for t in v] for k, v in texts.items()}
    )
    data = load_text("sayings", sequence_length=4, data_dir=tmp_path)
    known = vocabulary_from_json(data.assets["vocabulary"])
    for split, name in ((data.train, "train"), (data.test, "validation")):
        lines = known.decode(np.append(split["tokens"][:, :-1].ravel(), split["tokens"][-1, -1])).split("\n")
        assert set(lines[:-1]) <= set(texts[name])  # in an order of the set's own
        assert len(lines) == len(texts[name])
    cut = load_text("sayings", sequence_length=4, data_dir=tmp_path, most_megabytes=50e-6)
    assert cut.name == "sayings, the first 5e-05 MB of each split"
    assert cut.train["tokens"][:, 1:].size < 50 < data.train["tokens"][:, 1:].size


def test_a_set_without_texts_is_refused(tmp_path):
    import tensorflow_datasets as tfds

    write_set(tmp_path, "odd", {"line": tfds.features.Text()}, {"train": [{"line": "a"}]})
    with pytest.raises(UserError, match="no feature named text, only line"):
        load_text("odd", data_dir=tmp_path)


@pytest.mark.parametrize(
    ("content", "length", "message"),
    [
        (b"caf\xe9 " * 30, 5, "is no text in UTF-8 \\(line 1, byte 3\\)"),
        (b"", 5, "is empty: name another file"),
        (b"\n \r\n" * 200, 5, "is blank, with nothing but spaces and line ends"),
        (b"a" * 500, 5, "has no character but 'a': there is nothing to learn"),
        (b"abc", 1, "has only 3 tokens: give one with at least 20"),
        (b"abc" * 30, 9, "sequence length must lie between 1 and 8, not 9"),
        (b"abc" * 30, 0, "sequence length must lie between 1 and 8, not 0"),
    ],
)
def test_a_text_that_cannot_be_cut_up_is_refused(tmp_path, content, length, message):
    (tmp_path / "odd.txt").write_bytes(content)
    with pytest.raises(UserError, match=message):
        load_text(str(tmp_path / "odd.txt"), sequence_length=length)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"There is no file .*none.txt: check the path"):
        load_text(str(tmp_path / "none.txt"))
