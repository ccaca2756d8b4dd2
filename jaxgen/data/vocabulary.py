"""Text to token numbers and back."""

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
"""Characters that are looked up at once."""


class Vocabulary(Protocol):
    """What text is written with.

    Text is taken as it is: `jaxgen.data.text_file.normalized` makes one of what a person writes.
    """

    @property
    def size(self) -> int:
        """K: tokens are 0..K-1."""
        ...

    def encode(self, text: str) -> np.ndarray:
        """Text to tokens [N]. UserError: it holds what the vocabulary lacks."""
        ...

    def decode(self, tokens: Sequence[int] | np.ndarray) -> str:
        """The inverse of `encode`."""
        ...

    def to_json(self) -> Json:
        """All that `vocabulary_from_json` needs: it goes to the assets of a run."""
        ...


class Characters(NamedTuple):
    """One token for each character that a text holds."""

    characters: str
    """Distinct, in the order of their numbers."""

    @property
    def size(self) -> int:
        return len(self.characters)

    def encode(self, text: str) -> np.ndarray:
        known = np.frombuffer(self.characters.encode("utf-32-le"), np.uint32)  # sorted, as code points are
        tokens = np.empty(len(text), np.int32)
        for start in range(0, len(text), _BLOCK):  # so that what is needed in between stays small
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
    """One token for each byte of UTF-8: any text, and no text is unknown."""

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
    """Pieces of words, by a tokenizer of the library `tokenizers` (what Hugging Face models use)."""

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
    """The characters of a text, by code point."""
    return Characters("".join(sorted(set(text))))


def find_vocabulary(name: str, text: str) -> Vocabulary:
    """The vocabulary that an option names.

    Args:
      name: "characters": those of `text`; "bytes"; "bpe-2000": 2,000 pieces of words, learned from `text` by byte-pair
        encoding (Sennrich et al. 2016, arXiv:1508.07909) over bytes, as GPT-2's; or the path of a tokenizer.json, or of
        a folder that has one.

    Raises:
      UserError: none of these, or a file that is no tokenizer.
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
    """The inverse of `Vocabulary.to_json`."""
    if values["kind"] == "characters":
        return Characters(values["characters"])
    if values["kind"] == "bytes":
        return Bytes()
    return Subwords(_tokenizers().Tokenizer.from_str(values["tokeniser"]))


def vocabulary_of(assets: Assets) -> Vocabulary:
    """The vocabulary among the assets of a text."""
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
