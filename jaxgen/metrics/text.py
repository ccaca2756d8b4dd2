"""How varied a set of texts is: distinct n-grams, and how well each text is explained by the others.

A text is a sequence of hashable tokens: ids, words, characters. Whoever calls splits it: a plain `str` is read as its
characters, `text.split()` as its words, and scores compare only for the same tokens.
"""

import math
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence

import numpy as np

from jaxgen.core.errors import UserError

EPSILON = 0.1  # method 1 of Chen and Cherry 2014, as NLTK has it


def distinct_n(texts: Sequence[Sequence[Hashable]], n: int) -> float:
    """Share of the n-grams of all texts that are different, in (0, 1]; nan where no text has n tokens.

    Distinct n-grams / all n-grams over the whole set, as in Li et al. 2016 (arXiv:1510.03055), who divide by the number
    of tokens: the same for n = 1, and a little less for longer ones. It falls as a set grows: compare sets of one size.

    Raises:
      UserError: `n` below 1, or one `str` in place of a set of texts.
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
    """Mean BLEU of each text against all others, in [0, 1]: near 1 where texts repeat each other.

    Zhu et al. 2018 (Texygen, arXiv:1802.01886), of BLEU as Papineni et al. 2002 define it, with equal
    weights for n-grams of 1..max_n and NLTK's smoothing method 1: the same as `sentence_bleu(others, text, weights,
    SmoothingFunction().method1)` averaged over the texts, in time that grows with the tokens and not with their square.

    Args:
      max_n: the longest n-grams.
      num_texts: as many texts, chosen at random by `seed`, are compared among themselves (None: all). The score rises
        with their number, so only scores of equally many texts compare; Texygen takes 500.

    Raises:
      UserError: fewer than two texts, fewer than `num_texts`, `max_n` below 1, or one `str` in place of a set of texts.
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
    """Of each text, log of the share of its n-grams that are found in another, each as often as it is there."""
    counts = [Counter(_n_grams(text, n)) for text in texts]
    # The most often that any text has a gram, and the next: what the others of a text have is one of these two.
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
            logs.append(-math.inf)  # BLEU is 0 where not one word matches: no smoothing
        else:
            logs.append(math.log((found or EPSILON) / max(1, of_text.total())))
    return logs


def _brevity_penalties(texts: Sequence[tuple[Hashable, ...]]) -> np.ndarray:
    """exp(1 - r / c) of a text of length c below r, the nearest length among the others (the shorter of two)."""
    lengths = Counter(map(len, texts))
    penalty = {}
    for length, times in lengths.items():
        others = lengths if times > 1 else lengths.keys() - {length}
        nearest = min(others, key=lambda other: (abs(other - length), other))
        penalty[length] = 1.0 if length >= nearest else math.exp(1.0 - nearest / length) if length else 0.0
    return np.array([penalty[len(text)] for text in texts])
