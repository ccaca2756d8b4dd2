"""Texts as windows of tokens."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgen.core.errors import UserError
from jaxgen.data import embedded_sets, music
from jaxgen.data.content_digests import digest
from jaxgen.data.dataset import Dataset, as_stored
from jaxgen.data.identity import Identity
from jaxgen.data.splits import recorded_asset
from jaxgen.data.text_file import normalized, read_text_file
from jaxgen.data.tfds_builder import find_builder, train_and_test
from jaxgen.data.vocabulary import Characters, Vocabulary, find_vocabulary, vocabulary_from_json

TRAIN_FRACTION = 0.9
TEXT = "the text"
"""Name of a text in messages about changed data."""


class Text(NamedTuple):
    """A text before it is cut into windows."""

    name: str
    train: str
    test: str | None
    """None: the last tenth of `train`."""
    notation: str | None = None
    """"abc": it is music in ABC notation."""


def load_text(
    name: str,
    *,
    sequence_length: int = 64,
    vocabulary: str | Vocabulary = "characters",
    data_dir: str | Path | None = None,
    most_megabytes: float = 200,
) -> Dataset:
    """Load a text as windows of `tokens` [sequence_length + 1]: uint8, uint16 or int32, as the vocabulary requires.

    The first 90% of the text is for training, the rest for testing, unless the set has its own test or validation
    split. Windows start every `sequence_length` tokens and share one token with the next, so that each token but the
    first is predicted exactly once in an epoch. Tokens at the end of a split that do not fill a window are dropped.

    Args:
      name: `kjv`, the King James Bible, which comes with the package; `ryans_mammoth`, tunes in ABC notation
        (`jaxgen.data.music`); the path of a text file (see `jaxgen.data.text_file`); or a set of tensorflow-datasets
        with a feature `text`, such as `tiny_shakespeare` or `lm1b`, whose texts are joined by line ends.
      vocabulary: a vocabulary, or a name for `jaxgen.data.vocabulary.find_vocabulary`, which makes it from the whole
        text; it becomes the asset `vocabulary`.
      data_dir: folder of the prepared sets of tensorflow-datasets.
      most_megabytes: maximum size read of each split of a tensorflow-datasets set, from its beginning; if a split is
        longer, the name of the data set says so.

    Raises:
      UserError: the text does not exist, cannot be read or is too short, or `find_vocabulary` raises it.
    """
    text = find_text(name, data_dir, most_megabytes)
    known, kind = vocabulary_for(vocabulary, text.train + (text.test or ""))
    train = known.encode(text.train).astype(kind)
    if text.test is None:
        train, test = np.split(train, [int(TRAIN_FRACTION * len(train))])
    else:
        test = known.encode(text.test).astype(kind)
    most = min(len(train), len(test)) - 1
    if most < 1:
        raise UserError(f"The text {name} has only {len(train) + len(test)} tokens: give one with at least 20.")
    if not 1 <= sequence_length <= most:
        raise UserError(f"Of the text {name} the sequence length must lie between 1 and {most}, not {sequence_length}.")

    def windows(part: np.ndarray) -> Mapping[str, np.ndarray]:
        every = np.lib.stride_tricks.sliding_window_view(part, sequence_length + 1)
        return {"tokens": np.ascontiguousarray(every[::sequence_length])}

    assets = {"vocabulary": known.to_json(), "notation": text.notation}
    return Dataset(text.name, windows(train), windows(test), "text", as_stored, assets, identity_of(text))


def identity_of(text: Text) -> Identity:
    """Return the identity of a text, as a whole, whatever its path."""
    return Identity({TEXT: digest(text.train, text.test or "")})


def vocabulary_for(vocabulary: str | Vocabulary, text: str) -> tuple[Vocabulary, type[np.integer]]:
    """Return the vocabulary and the smallest type that holds its tokens; a reopened run keeps its own vocabulary.

    Raises:
      UserError: `find_vocabulary` raises it, or the text has a character that the run's vocabulary lacks.
    """
    if (own := recorded_asset("vocabulary")) is not None:
        vocabulary = vocabulary_from_json(own)
        if isinstance(vocabulary, Characters) and (new := sorted({*text} - {*vocabulary.characters})):
            raise UserError(
                f"The text has changed since the run was trained: it has {new[0]!r}, which the run's vocabulary lacks. "
                "Bring the text back as it was."
            )
    known = find_vocabulary(vocabulary, text) if isinstance(vocabulary, str) else vocabulary
    return known, np.uint8 if known.size <= 2**8 else np.uint16 if known.size <= 2**16 else np.int32


def find_text(name: str, data_dir: str | Path | None, most_megabytes: float) -> Text:
    """Find a text by its name, as described in `load_text`.

    Raises:
      UserError: the text does not exist, cannot be read or is blank.
    """
    if name == "kjv":
        return Text(name, embedded_sets.kjv_text(), None)
    if name == music.NAME:
        return Text(name, *music.split_tunes(music.tunes()), notation="abc")
    path = Path(name).expanduser()
    if path.exists() or path.suffix or name.startswith(("/", ".", "~")):
        return _checked(Text(name, read_text_file(path), None))
    builder = find_builder(name.removeprefix("tfds:"), data_dir, [*embedded_sets.EMBEDDED])
    features = builder.info.features
    if "text" not in features:
        raise UserError(f"The set {name} has no feature named text, only {', '.join(features)}: choose a set of texts.")
    most = int(most_megabytes * 1e6)
    splits = [split for split in train_and_test(builder, name) if split]
    texts, whole = zip(*(_joined(builder.as_data_source(split=split), most) for split in splits), strict=True)
    cut = "" if all(whole) else f", the first {most_megabytes:g} MB of each split"
    return _checked(Text(name + cut, texts[0], texts[1] if len(texts) > 1 else None))


def _joined(examples: Iterable[Mapping[str, object]], most: int) -> tuple[str, bool]:
    """Join the texts of a split by line ends, up to `most` bytes; also return whether this is all of the split."""
    texts, size = [], 0
    for example in examples:
        text = example["text"]
        text = text.decode() if isinstance(text, bytes) else str(text)
        size += len(text.encode()) + 1
        if size > most:
            return normalized("\n".join(texts)), False
        texts.append(text)
    return normalized("\n".join(texts)), True


def _checked(text: Text) -> Text:
    """Refuse a text from which nothing can be learned.

    Raises:
      UserError: the text is empty, blank, or a single character repeated.
    """
    characters = set(text.train) | set(text.test or "")
    if not characters:
        raise UserError(f"The text {text.name} is empty: name another file.")
    if not "".join(characters).strip():
        raise UserError(f"The text {text.name} is blank, with nothing but spaces and line ends: name another file.")
    if len(characters) == 1:
        raise UserError(f"The text {text.name} has no character but {min(characters)!r}: there is nothing to learn.")
    return text
