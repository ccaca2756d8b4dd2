"""Self-BLEU against NLTK, distinct-n by hand."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from references import make_text

from jaxgen.core.errors import UserError
from jaxgen.data.text import load_text
from jaxgen.evaluation.texts import diversity_values
from jaxgen.metrics.text import distinct_n, self_bleu

EXPECTED = json.loads(Path(make_text.__file__).with_name("text.json").read_text())["self_bleu"]
CASES = make_text.text_cases()


@pytest.mark.parametrize("case", CASES)
def test_self_bleu_equals_nltks_sentence_bleu_against_all_others(case):
    found = [self_bleu(CASES[case], max_n=max_n) for max_n in make_text.MAX_NS]
    np.testing.assert_allclose(found, EXPECTED[case], rtol=0, atol=1e-9)


def test_distinct_n_counts_over_the_whole_set():
    texts = [text.split() for text in ("the cat saw the cat", "the dog saw the dog", "the")]
    assert distinct_n(texts, 1) == 4 / 11  # the cat saw dog
    assert distinct_n(texts, 2) == 5 / 8  # the-cat cat-saw saw-the the-dog dog-saw


def test_distinct_n_is_one_where_nothing_repeats_and_nan_where_there_are_no_n_grams():
    assert distinct_n([[1, 2, 3], [4, 5]], 2) == 1.0
    assert math.isnan(distinct_n([[1, 2], [3]], 3))


def test_strings_are_read_as_their_characters():
    assert distinct_n(["abab"], 2) == 2 / 3
    assert self_bleu(["abcab", "abcba"]) == self_bleu([list("abcab"), list("abcba")])


def test_texts_without_a_common_word_have_self_bleu_zero():
    assert self_bleu([[1, 2, 3], [4, 5, 6]]) == 0.0


def test_a_subset_is_drawn_by_the_seed_alone():
    texts = CASES["many"]
    first = self_bleu(texts, num_texts=10, seed=1)
    assert first == self_bleu(texts, num_texts=10, seed=1)
    assert first != self_bleu(texts, num_texts=10, seed=2)
    assert self_bleu(texts, num_texts=len(texts)) == pytest.approx(self_bleu(texts))


def test_fewer_texts_explain_each_other_less_well():
    texts = CASES["many"]
    few = np.mean([self_bleu(texts, num_texts=5, seed=seed) for seed in range(10)])
    assert few < self_bleu(texts) - 0.1


def test_wrong_input_is_reported():
    with pytest.raises(UserError, match="not 1 of 1"):
        self_bleu([[1, 2]])
    with pytest.raises(UserError, match="not 3 of 2"):
        self_bleu([[1], [2]], num_texts=3)
    with pytest.raises(UserError, match="a list of texts"):
        distinct_n("one text", 1)
    with pytest.raises(UserError, match="at least 1 token"):
        distinct_n([[1]], 0)


@pytest.mark.parametrize("size", [40, 500])
def test_held_out_texts_do_not_overlap_and_are_as_many_as_samples(tmp_path, size):
    """A held-out text of about 600 characters, each of whose words stands there once, has only distinct words, but for
    those that are cut; 500 characters fit into it once only, so that halves of it are compared."""
    words = " ".join(f"w{i:04d}" for i in range(1_000))
    (tmp_path / "words.txt").write_text(words)
    data = load_text(str(tmp_path / "words.txt"), sequence_length=20)
    samples = np.tile(np.asarray(data.train["tokens"])[:1, :1], (100, size)).astype(np.int32)
    values = diversity_values(samples, data, seed=0)
    assert values["diversity/held_out_distinct_1"] > 0.9
    assert values["diversity/distinct_1"] == pytest.approx(1 / min(100, 600 // size if size < 300 else 2), abs=0.03)
