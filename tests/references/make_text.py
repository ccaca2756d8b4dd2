"""Makes text.json: self-BLEU by NLTK's `sentence_bleu` with all other texts as references.

    python tests/references/make_text.py

Run by hand where nltk 3.10.4 is installed; the file was made with NumPy 2.4.6.
"""

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

MAX_NS = (1, 2, 3, 4, 5)


def text_cases() -> Mapping[str, Sequence[Sequence[int]]]:
    """Sets of texts of token numbers."""
    rng = np.random.default_rng(0)

    def draw(vocabulary: int, lengths: Sequence[int]) -> list[list[int]]:
        return [rng.integers(0, vocabulary, length).tolist() for length in lengths]

    many = draw(5, rng.integers(1, 30, 40))  # few words, so that grams repeat within and between texts
    sparse = draw(200, rng.integers(5, 20, 15))  # most long grams match nothing: smoothing
    return {
        "many": many,
        "sparse": sparse,
        "odd_ones": [[], [0], [0, 1], [0, 1, 2], [7, 8, 9, 7], *draw(3, [9, 9, 14]), [0] * 12, [0] * 5],
        "copies": [many[0], many[0], many[1], many[1]],
    }


def main() -> None:
    from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

    smoothing = SmoothingFunction().method1

    def self_bleu(texts: Sequence[Sequence[int]], max_n: int) -> float:
        weights = (1.0 / max_n,) * max_n
        return statistics.fmean(
            sentence_bleu([*texts[:i], *texts[i + 1 :]], text, weights, smoothing) for i, text in enumerate(texts)
        )

    found = {name: [self_bleu(texts, max_n) for max_n in MAX_NS] for name, texts in text_cases().items()}
    Path(__file__).with_name("text.json").write_text(json.dumps({"self_bleu": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
