"""Spoken words: whole clips, windows of them with what is said, and how a word that is to be said is described."""

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
"""Of each clip; the rest is held out."""


def load_spoken() -> Dataset:
    """Spoken English words: `audio` uint8 [T] mu-law codes 8000 a second, padded with silence to the longest clip;
    `length` int32, samples in the clip; `label` int32, number of what is said in `words`. 155 clips, no test split.
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
    """The first held-out sample of clips of `length` samples."""
    return (TRAIN_FRACTION * length).astype(np.int32)


def load_spoken_windows(window: int = 2048, context: int = 512, test_context: int = 2048) -> Dataset:
    """Spoken words in windows of one length: the first 85% of each clip to train, the rest to test.

    Each sample is predicted once, with `weights` 1, in one window of its split; others of the window are there to be
    looked back at, or padding, with weight 0. Where samples come before the window's first predicted one, at least
    `context` (`test_context`) of them are in the window, or all there are. Test windows hold all that is held out of
    the longest clip, and before it samples that are trained on.

    An example: `tokens` uint8 [T + 1], mu-law codes, of which the first is given (before a clip's first sample:
    silence); `weights` [T], of each sample predicted; and its condition: `label` int32, number of the word in the asset
    `words`; `characters` uint8 [S], its spelling by numbers from 1 in the asset `characters`, then 0; `start` int32,
    the place within the clip of the first sample predicted; `length` int32, samples of the whole clip.

    Assets: `sample_rate`, `words`, `characters`, and `lengths`: of the first clip of each word.

    Raises:
      UserError: a window that is not longer than its context.
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
        """The samples from `begins` to `ends` of each clip."""
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
    """(start, first, last) of windows whose samples first..last cover begin..end of a clip, each sample once."""
    first = begin
    while first < end:
        start = max(0, first - context)
        last = min(start + window, end)
        yield max(0, last - window), first, last  # a window that would be shorter begins earlier
        first = last


def _prepare(batch: Batch) -> Batch:
    return {**batch, "weights": batch["weights"].astype(jnp.float32)}


# ---------------------------------------------------------------- what is to be said


def words_to_say(assets: Assets, texts: Sequence[str]) -> dict[str, np.ndarray]:
    """The conditions of clips from their beginning: `label` (-1 for what is no word of the set), `characters`, `start`
    and `length`, each with one row for each text. What is no word takes as long as the word that is spelled most alike.

    Raises:
      UserError: an empty text, or a character that no word has.
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
    """The word that is spelled most alike: the text itself if it is one."""
    return text if text in words else difflib.get_close_matches(text, words, n=1, cutoff=0.0)[0]


def _spelled(texts: Sequence[str], characters: str) -> np.ndarray:
    """uint8 [N, S]: each text by numbers from 1, then 0."""
    rows = np.zeros((len(texts), max(map(len, texts))), np.uint8)
    for row, text in zip(rows, texts, strict=True):
        row[: len(text)] = [characters.index(character) + 1 for character in text]
    return rows
