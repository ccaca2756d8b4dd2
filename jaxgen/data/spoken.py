"""Spoken words: whole clips, windows of them with their condition, and the condition of a word to be said."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxgen.core.errors import UserError
from jaxgen.core.types import Assets, Batch
from jaxgen.data import embedded_sets, mu_law
from jaxgen.data.dataset import Dataset, as_stored, is_resident
from jaxgen.data.text_file import normalized

TRAIN_FRACTION = 0.85
"""Fraction of each clip that is trained on; the rest is held out."""


def load_spoken() -> Dataset:
    """Load spoken English words: 155 clips, no test split.

    An example has `audio` uint8 [T], mu-law codes at 8,000 a second, padded with silence to the longest clip; `length`
    int32, the number of samples in the clip; and `label` int32, the number of the word in the asset `words`.
    """
    clips = embedded_sets.spoken_clips()
    words = sorted(set(clips.words))
    audio = np.full((len(clips.lengths), clips.lengths.max()), mu_law.SILENCE, np.uint8)
    audio[np.arange(audio.shape[1]) < clips.lengths[:, None]] = clips.codes
    labels = np.array([words.index(word) for word in clips.words], np.int32)
    train = {"audio": audio, "length": clips.lengths, "label": labels}
    assets = {"sample_rate": embedded_sets.SPOKEN_SAMPLE_RATE, "words": words}
    return Dataset("spoken", train, None, "audio", as_stored, assets, embedded_sets.identity_of("spoken"))


def held_out_start(length: np.ndarray) -> np.ndarray:
    """Return the first held-out sample of clips of `length` samples."""
    return (TRAIN_FRACTION * length).astype(np.int32)


def load_spoken_windows(window: int = 2048, context: int = 512, test_context: int = 2048) -> Dataset:
    """Load spoken words as windows of one length: the first 85% of each clip for training, the rest for testing.

    Each sample is predicted once, with `weights` 1, in one window of its split; other samples of the window are context
    or padding, with weight 0. If samples come before the window's first predicted one, the window has at least
    `context` (`test_context`) of them, or all there are. Test windows hold all held-out samples of the longest clip,
    preceded by samples that are trained on.

    An example has `tokens` uint8 [T + 1], mu-law codes, the first of which is given (before a clip's first sample:
    silence); `weights` [T], of each predicted sample; and its condition: `label` int32, number of the word in the asset
    `words`; `characters` uint8 [S], its spelling as numbers from 1 in the asset `characters`, then 0; `start` int32,
    the position within the clip of the first predicted sample; `length` int32, the number of samples of the whole clip.

    Assets are `sample_rate`, `words`, `characters`, and `lengths`, that of the first clip of each word.

    Raises:
      UserError: the window is not longer than its context.
    """
    if not 0 <= context < window:
        raise UserError(f"The context must lie between 0 and the window's {window} samples, not {context}.")
    whole = load_spoken()
    assert is_resident(whole.train)
    audio, lengths, labels = (whole.train[name] for name in ("audio", "length", "label"))
    held = held_out_start(lengths)
    words = whole.assets["words"]
    characters = "".join(sorted(set("".join(words))))
    first_clips = np.unique(labels, return_index=True)[1]
    assets = {**whole.assets, "characters": characters, "lengths": lengths[first_clips].tolist()}
    spellings = _spelled(words, characters)

    def split(begins: np.ndarray, ends: np.ndarray, window: int, context: int) -> Mapping[str, np.ndarray]:
        """Return the samples from `begins` to `ends` of each clip, in windows."""
        examples: dict[str, list[Any]] = {name: [] for name in ("tokens", "weights", "label", "start", "length")}
        for codes, length, label, begin, end in zip(audio, lengths, labels, begins, ends, strict=True):
            padded = np.pad(codes[:end], (1, window), constant_values=mu_law.SILENCE)
            for start, first, last in _windows(begin, end, window, context):
                place = np.arange(start, start + window)
                examples["tokens"].append(padded[start : start + window + 1])
                examples["weights"].append((place >= first) & (place < last))
                for name, value in (("label", label), ("start", start), ("length", length)):
                    examples[name].append(np.int32(value))
        arrays = {name: np.stack(values) for name, values in examples.items()}
        return {**arrays, "weights": arrays["weights"].astype(np.uint8), "characters": spellings[arrays["label"]]}

    train = split(np.zeros_like(held), held, window, context)
    test = split(held, lengths, test_context + int((lengths - held).max()), test_context)
    return Dataset("spoken", train, test, "audio", _prepare, assets, embedded_sets.identity_of("spoken"))


def _windows(begin: int, end: int, window: int, context: int) -> Iterator[tuple[int, int, int]]:
    """Yield (start, first, last) of windows whose samples first..last cover begin..end of a clip, each sample once."""
    first = begin
    while first < end:
        start = max(0, first - context)
        last = min(start + window, end)
        yield max(0, last - window), first, last  # start earlier if the window would be shorter
        first = last


def _prepare(batch: Batch) -> Batch:
    return {**batch, "weights": batch["weights"].astype(jnp.float32)}


# ---------------------------------------------------------------- conditions of new clips


def words_to_say(assets: Assets, texts: Sequence[str]) -> dict[str, np.ndarray]:
    """Return the conditions of clips to be said, from their beginning, with one row for each text.

    They are `label` (-1 for a word that is not in the set), `characters`, `start` and `length`. A new word takes as
    long as the known word with the most similar spelling.

    Raises:
      UserError: a text is empty, or has a character that no word has.
    """
    words, lengths = assets["words"], assets["lengths"]
    texts = [normalized(text) for text in texts]
    for text in texts:
        if not text:
            raise UserError("There is nothing to say: give at least one character.")
        if unknown := set(text) - set(assets["characters"]):
            raise UserError(
                f"The character {min(unknown)!r} is in no word of the set, which are written with "
                f"{assets['characters']!r}."
            )
    return {
        "label": np.asarray([words.index(text) if text in words else -1 for text in texts], np.int32),
        "characters": _spelled(texts, assets["characters"]),
        "start": np.zeros(len(texts), np.int32),
        "length": np.asarray([lengths[words.index(nearest_word(words, text))] for text in texts], np.int32),
    }


def nearest_word(words: Sequence[str], text: str) -> str:
    """Return the word with the most similar spelling: the text itself if it is a known word."""
    return text if text in words else difflib.get_close_matches(text, words, n=1, cutoff=0.0)[0]


def _spelled(texts: Sequence[str], characters: str) -> np.ndarray:
    """Return uint8 [N, S]: each text as character numbers from 1, padded with 0."""
    rows = np.zeros((len(texts), max(map(len, texts))), np.uint8)
    for row, text in zip(rows, texts, strict=True):
        row[: len(text)] = [characters.index(character) + 1 for character in text]
    return rows
