"""Vocabularies: encoding text as token numbers, and decoding."""

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from jaxgen.core.errors import UserError
from jaxgen.core.types import Assets, Json

if TYPE_CHECKING:
    import tokenizers

TOKENIZER_FILE = "tokenizer.json"
_BPE = "bpe-"
MOST_PIECES = 1_000_000


_BLOCK = 2**22
"""Number of characters looked up at once."""


class Vocabulary(Protocol):
    """The tokens in which text is written.

    Text is encoded as it is; `jaxgen.data.text_file.normalized` is applied to user input before.
    """

    @property
    def size(self) -> int:
        """K, the number of tokens, which are 0..K-1."""
        ...

    def encode(self, text: str) -> np.ndarray:
        """Encode text as tokens [N].

        Raises:
          UserError: the text has characters that the vocabulary lacks.
        """
        ...

    def decode(self, tokens: Sequence[int] | np.ndarray) -> str:
        """Decode tokens to text, inverting `encode`."""
        ...

    def to_json(self) -> Json:
        """Return the values that `vocabulary_from_json` needs, for the assets of a run."""
        ...


class Characters(NamedTuple):
    """One token for each character that a text has."""

    characters: str
    """Distinct characters, in the order of their numbers."""

    @property
    def size(self) -> int:
        return len(self.characters)

    def encode(self, text: str) -> np.ndarray:
        known = np.frombuffer(self.characters.encode("utf-32-le"), np.uint32)  # sorted, as code points are
        tokens = np.empty(len(text), np.int32)
        for start in range(0, len(text), _BLOCK):  # in blocks, so that intermediate arrays stay small
            codes = np.frombuffer(text[start : start + _BLOCK].encode("utf-32-le"), np.uint32)
            found = np.minimum(np.searchsorted(known, codes), len(known) - 1)
            if len(missing := codes[known[found] != codes]):
                raise UserError(
                    f"The character {chr(missing[0])!r} is not in the vocabulary, which is that of the text it was "
                    "made from: leave it out, or train with --vocabulary bytes, which knows every text."
                )
            tokens[start : start + _BLOCK] = found
        return tokens

    def decode(self, tokens: Sequence[int] | np.ndarray) -> str:
        return "".join(self.characters[token] for token in tokens)

    def to_json(self) -> Json:
        return {"kind": "characters", "characters": self.characters}


class Bytes(NamedTuple):
    """One token for each byte of UTF-8, which can encode any text."""

    @property
    def size(self) -> int:
        return 256

    def encode(self, text: str) -> np.ndarray:
        return np.frombuffer(text.encode(), np.uint8).astype(np.int32)

    def decode(self, tokens: Sequence[int] | np.ndarray) -> str:
        return bytes(int(token) for token in tokens).decode(errors="replace")

    def to_json(self) -> Json:
        return {"kind": "bytes"}


class Subwords:
    """Pieces of words, by a tokenizer of the library `tokenizers` (which Hugging Face models use)."""

    def __init__(self, tokenizer: "tokenizers.Tokenizer"):
        self.tokenizer = tokenizer
        self.size = tokenizer.get_vocab_size()

    def encode(self, text: str) -> np.ndarray:
        return np.asarray(self.tokenizer.encode(text, add_special_tokens=False).ids, np.int64)

    def decode(self, tokens: Sequence[int] | np.ndarray) -> str:
        return self.tokenizer.decode([int(token) for token in tokens], skip_special_tokens=False)

    def to_json(self) -> Json:
        return {"kind": "subwords", "tokeniser": self.tokenizer.to_str()}


def characters_of(text: str) -> Characters:
    """Return the characters of a text, by code point."""
    return Characters("".join(sorted(set(text))))


def find_vocabulary(name: str, text: str) -> Vocabulary:
    """Return the vocabulary that an option names.

    Args:
      name: "characters": those of `text`; "bytes"; "bpe-2000": 2,000 pieces of words, learned from `text` by byte-pair
        encoding (Sennrich et al. 2016, arXiv:1508.07909) over bytes, as in GPT-2; or the path of a tokenizer.json, or
        of a folder that has one.

    Raises:
      UserError: the name is not one of these, or the file is not a tokenizer.
    """
    if name == "characters":
        return characters_of(text)
    if name == "bytes":
        return Bytes()
    if name.startswith(_BPE) and name.isascii() and name[len(_BPE) :].isdigit():
        return _learn_pieces(text, int(name[len(_BPE) :][:12]))
    path = Path(name) / TOKENIZER_FILE if Path(name).is_dir() else Path(name)
    if not path.is_file():
        raise UserError(
            f"--vocabulary {name} is neither characters, bytes, bpe-SIZE (such as bpe-2000) nor a {TOKENIZER_FILE}: "
            "choose one of these."
        )
    tokenizers = _tokenizers()
    try:
        return Subwords(tokenizers.Tokenizer.from_file(str(path)))
    except Exception as error:  # the library's own errors have no class of their own
        raise UserError(f"{path} is no tokenizer of the library tokenizers: {error}") from error


def vocabulary_from_json(values: Assets) -> Vocabulary:
    """Return the vocabulary from the values of `Vocabulary.to_json`."""
    if values["kind"] == "characters":
        return Characters(values["characters"])
    if values["kind"] == "bytes":
        return Bytes()
    return Subwords(_tokenizers().Tokenizer.from_str(values["tokeniser"]))


def vocabulary_of(assets: Assets) -> Vocabulary:
    """Return the vocabulary among the assets of a text."""
    return vocabulary_from_json(assets["vocabulary"])


def _learn_pieces(text: str, size: int) -> Subwords:
    if not 256 < size <= MOST_PIECES:
        raise UserError(f"--vocabulary {_BPE}SIZE needs a size from 257 (all bytes are in it) to {MOST_PIECES:,}.")
    tokenizers = _tokenizers()
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(text.splitlines(keepends=True), trainer)
    return Subwords(tokenizer)


def _tokenizers() -> ModuleType:
    try:
        import tokenizers
    except ImportError as error:
        raise UserError("Pieces of words need the package tokenizers: pip install 'jaxgen[text]'.") from error
    return tokenizers
