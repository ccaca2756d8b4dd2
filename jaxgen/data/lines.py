"""Texts as one example for each line."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxgen.core.errors import UserError
from jaxgen.core.types import Batch
from jaxgen.data.dataset import Dataset
from jaxgen.data.text import TRAIN_FRACTION, find_text, identity_of, vocabulary_for
from jaxgen.data.vocabulary import Vocabulary


def load_lines(
    name: str,
    *,
    sequence_length: int = 64,
    vocabulary: str | Vocabulary = "characters",
    data_dir: str | Path | None = None,
    most_megabytes: float = 200,
) -> Dataset:
    """Load the lines of a text, each as an example.

    An example has `tokens` [sequence_length + 1]: a line end, the line, and line ends up to the length; a longer line
    is truncated. In a batch it also has `weights` float32 [sequence_length], 1 for the predicted tokens, which are the
    line and the first line end after it. Empty lines are left out, and so are the verse numbers of `kjv`.

    Arguments are those of `load_text`. The first 90% of the lines are for training unless the set has its own split.
    The assets include `line_end`, the token of a line end.

    Raises:
      UserError: the conditions of `load_text`, or a vocabulary that cannot encode a line end.
    """
    text = find_text(name, data_dir, most_megabytes)
    train = _lines(text.train, name)
    if text.test is None:
        border = int(TRAIN_FRACTION * len(train))
        train, test = train[:border], train[border:]
    else:
        test = _lines(text.test, name)
    if not len(train) or not len(test):
        raise UserError(
            f"The text {name} has too few lines to train on some and hold out others: give one with at least 2."
        )
    if sequence_length < 1:
        raise UserError(f"The sequence length must be at least 1, not {sequence_length}.")
    known, kind = vocabulary_for(vocabulary, "\n".join([*train, *test, ""]))
    line_end = known.encode("\n")
    if len(line_end) != 1:
        raise UserError("The vocabulary has no token of its own for a line end: take another for lines.")

    def rows(lines: Iterable[str]) -> Mapping[str, np.ndarray]:
        encoded = [known.encode(line)[:sequence_length] for line in lines]
        tokens = np.full((len(encoded), sequence_length + 1), line_end[0], kind)
        for row, line in zip(tokens, encoded, strict=True):
            row[1 : 1 + len(line)] = line
        return {"tokens": tokens}

    def with_weights(batch: Batch) -> Batch:
        return {**batch, "weights": until_line_end(batch["tokens"][:, 1:], int(line_end[0]))}

    assets = {"vocabulary": known.to_json(), "notation": None, "line_end": int(line_end[0])}
    return Dataset(f"{text.name}, by lines", rows(train), rows(test), "text", with_weights, assets, identity_of(text))


def until_line_end(tokens: ArrayLike, line_end: int) -> jax.Array:
    """Map tokens [..., T] to float32 [..., T]: 1 up to and including the first line end, then 0."""
    ends = (jnp.asarray(tokens) == line_end).astype(jnp.int32)
    return (jnp.cumsum(ends, axis=-1) - ends == 0).astype(jnp.float32)


def _lines(text: str, name: str) -> list[str]:
    lines = [line.strip() for line in text.split("\n")]
    if name == "kjv":
        lines = [re.sub(r"^\S+:\d+ ", "", line) for line in lines]
    return [line for line in lines if line]
