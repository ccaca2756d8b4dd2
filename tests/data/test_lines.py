"""Texts line by line."""

import numpy as np
import pytest

from jaxgen.core.errors import UserError
from jaxgen.data import example_batch
from jaxgen.data.lines import load_lines, until_line_end
from jaxgen.data.vocabulary import vocabulary_from_json


def test_an_example_is_a_line_between_line_ends_and_its_weights_end_with_it(tmp_path):
    lines = ["a", "abcde", "", " abc ", "cab"] * 10
    (tmp_path / "mine.txt").write_text("\n".join(lines))
    data = load_lines(str(tmp_path / "mine.txt"), sequence_length=4)
    known, end = vocabulary_from_json(data.assets["vocabulary"]), data.assets["line_end"]
    whole = [line.strip() for line in lines if line]
    rows = np.concatenate([data.train["tokens"], data.test["tokens"]])
    assert len(data.train["tokens"]) == int(0.9 * len(whole))
    assert rows.shape == (len(whole), 5)
    assert [known.decode(row).strip("\n") for row in rows] == [line[:4] for line in whole]
    assert np.all(rows[:, 0] == end)
    weights = example_batch(data, 4)["weights"]
    np.testing.assert_array_equal(weights, [[1, 1, 0, 0], [1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1]])


def test_verses_come_without_their_numbers():
    data = load_lines("kjv", sequence_length=100)
    known = vocabulary_from_json(data.assets["vocabulary"])
    first = known.decode(data.train["tokens"][0, 1:])
    assert first.startswith("In the beginning God created the heaven and the earth.\n")
    last = known.decode(data.test["tokens"][-1, 1:])
    assert last.startswith("The grace of our Lord Jesus Christ be with you all. Amen.\n")
    assert len(data.train["tokens"]) + len(data.test["tokens"]) == 31_102


def test_only_the_first_line_end_counts():
    weights = until_line_end(np.array([[1, 0, 2, 0, 3], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]]), 0)
    np.testing.assert_array_equal(weights, [[1, 1, 0, 0, 0], [1, 0, 0, 0, 0], [1, 1, 1, 1, 1]])


def test_a_text_of_one_line_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("all in one line")
    with pytest.raises(UserError, match="too few lines"):
        load_lines(str(tmp_path / "mine.txt"))
