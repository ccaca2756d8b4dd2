"""Diversity of a set of texts: distinct n-grams and self-BLEU.

A text is a sequence of hashable tokens: ids, words, characters. The caller splits it: a plain `str` is read as its
characters, `text.split()` as its words. Only scores of the same kind of tokens are comparable.
"""

import math
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence

import numpy as np

from jaxgen.core.errors import UserError

EPSILON = 0.1  # method 1 of Chen and Cherry 2014, as in NLTK


def distinct_n(texts: Sequence[Sequence[Hashable]], n: int) -> float:
    """Return the share of distinct n-grams among all n-grams of the texts, in (0, 1]; nan if no text has n tokens.

    Distinct n-grams are divided by all n-grams of the set. Li et al. 2016 (arXiv:1510.03055) divide by the number of
    tokens: this is the same for n = 1, and a little less for longer ones. The share falls as a set grows, so compare
    sets of one size.

    Raises:
      UserError: `n` is below 1, or `texts` is one `str` rather than a set of texts.
    """
    _check(texts, n)
    distinct, total = set(), 0
    for text in texts:
        grams = list(_n_grams(tuple(text), n))
        distinct.update(grams)
        total += len(grams)
    return len(distinct) / total if total else math.nan


def self_bleu(
    texts: Sequence[Sequence[Hashable]], *, max_n: int = 4, num_texts: int | None = None, seed: int = 0
) -> float:
    """Return the mean BLEU of each text against all others, in [0, 1]: near 1 if texts repeat each other.

    This is Texygen's self-BLEU (Zhu et al. 2018, arXiv:1802.01886), with BLEU as defined by Papineni et al. 2002, equal
    weights for n-grams of 1..max_n and NLTK's smoothing method 1. It equals `sentence_bleu(others, text, weights,
    SmoothingFunction().method1)` averaged over the texts, in time that is linear rather than quadratic in the tokens.

    Args:
      max_n: length of the longest n-grams.
      num_texts: number of texts, chosen at random by `seed`, that are compared with each other; None: all. The score
        rises with this number, so only scores of equally many texts are comparable; Texygen takes 500.

    Raises:
      UserError: there are fewer than two texts or fewer than `num_texts`, `max_n` is below 1, or `texts` is one `str`
        rather than a set of texts.
    """
    _check(texts, max_n)
    count = len(texts) if num_texts is None else num_texts
    if not 2 <= count <= len(texts):
        raise UserError(f"Self-BLEU compares 2 texts or more with each other, not {count} of {len(texts)}.")
    chosen = range(count) if num_texts is None else np.random.default_rng(seed).permutation(len(texts))[:count]
    texts = [tuple(texts[i]) for i in chosen]
    log_precisions = sum(np.array(_log_precisions(texts, n)) for n in range(1, max_n + 1))  # [N], -inf where BLEU is 0
    return float(np.mean(_brevity_penalties(texts) * np.exp(log_precisions / max_n)))


def _check(texts: Sequence[Sequence[Hashable]], n: int) -> None:
    if isinstance(texts, str | bytes):
        raise UserError("Give a list of texts, not one text.")
    if n < 1 or n != int(n):
        raise UserError(f"n-grams have at least 1 token, not {n}.")


def _n_grams(text: tuple[Hashable, ...], n: int) -> Iterator[tuple[Hashable, ...]]:
    return zip(*(text[start:] for start in range(n)), strict=False)


def _log_precisions(texts: Sequence[tuple[Hashable, ...]], n: int) -> list[float]:
    """Return for each text the log of the share of its n-grams that occur in another, clipped to their count there."""
    counts = [Counter(_n_grams(text, n)) for text in texts]
    # The two highest counts of a gram in any text: the highest among the others of a text is one of these.
    highest: dict[tuple[Hashable, ...], tuple[int, int]] = {}
    for of_text in counts:
        for gram, times in of_text.items():
            first, second = highest.get(gram, (0, 0))
            highest[gram] = (times, first) if times > first else (first, max(times, second))
    logs = []
    for of_text in counts:
        found = 0
        for gram, times in of_text.items():
            first, second = highest[gram]
            found += min(times, second if times == first else first)
        if found == 0 and n == 1:
            logs.append(-math.inf)  # BLEU is 0 if no word matches: no smoothing
        else:
            logs.append(math.log((found or EPSILON) / max(1, of_text.total())))
    return logs


def _brevity_penalties(texts: Sequence[tuple[Hashable, ...]]) -> np.ndarray:
    """Return exp(1 - r / c) for texts of length c < r, the nearest length among the others (the shorter of two)."""
    lengths = Counter(map(len, texts))
    penalty = {}
    for length, times in lengths.items():
        others = lengths if times > 1 else lengths.keys() - {length}
        nearest = min(others, key=lambda other: (abs(other - length), other))
        penalty[length] = 1.0 if length >= nearest else math.exp(1.0 - nearest / length) if length else 0.0
    return np.array([penalty[len(text)] for text in texts])
