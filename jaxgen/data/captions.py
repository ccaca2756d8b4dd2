"""Images with captions: emoji with their Unicode names, or any folder of captioned images."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.core.errors import UserError
from jaxgen.core.types import Assets, Batch, Json
from jaxgen.data.caption_files import TABLES, file_key, find_table, read_caption_lines, read_table
from jaxgen.data.content_digests import digest, file_digests
from jaxgen.data.dataset import Dataset, is_resident, scale_images
from jaxgen.data.embedded_sets import emoji_arrays
from jaxgen.data.folder_scan import scan_folder
from jaxgen.data.image_folder import FolderSource, dataset_of
from jaxgen.data.limits import check_memory
from jaxgen.data.loading import load
from jaxgen.data.splits import divide, recorded_asset
from jaxgen.data.text_file import normalized
from jaxgen.data.vocabulary import Vocabulary, find_vocabulary, vocabulary_from_json, vocabulary_of

PADDING = 0
"""Token that fills a caption after its end."""


class CaptionWriter(NamedTuple):
    """Encoder of captions to tokens int32 [T]: those of the vocabulary plus 1, then padding.

    Captions are lower-cased and get one space before each word, so that a word has the same pieces wherever it occurs.
    """

    vocabulary: Vocabulary
    length: int
    """T, the number of tokens; longer captions of the data are truncated."""

    @property
    def size(self) -> int:
        """Number of different tokens, including padding."""
        return self.vocabulary.size + 1

    def encode(self, captions: Sequence[str], *, cut: bool = False) -> np.ndarray:
        """Encode captions [N] as tokens int32 [N, T].

        Raises:
          UserError: a caption has characters that the vocabulary lacks, or (without `cut`) more than T tokens.
        """
        tokens = np.full((len(captions), self.length), PADDING, np.int32)
        for row, caption in zip(tokens, captions, strict=True):
            values = self.vocabulary.encode(_plain(caption)) + 1
            if len(values) > self.length and not cut:
                raise UserError(
                    f"{caption!r} has {len(values)} tokens, but the captions of this run have at most {self.length}: "
                    "say it in fewer words."
                )
            row[: len(values)] = values[: self.length]
        return tokens

    def decode(self, tokens: np.ndarray) -> str:
        """Decode the tokens [T] of one caption to text."""
        return self.vocabulary.decode(tokens[tokens != PADDING] - 1).strip()

    def word_starts(self) -> np.ndarray:
        """Return bool [K], which tokens begin a word."""
        texts = [self.vocabulary.decode([token]) for token in range(self.vocabulary.size)]
        return np.array([False] + [text.startswith(" ") for text in texts])


def caption_writer(assets: Assets) -> CaptionWriter:
    """Return the `CaptionWriter` of a captioned data set or run, given its assets."""
    return CaptionWriter(vocabulary_of(assets), assets["caption_length"])


def random_caption(
    key: jax.Array, captions: jax.Array, word_starts: jax.Array, *, word_dropout: float = 0.0
) -> jax.Array:
    """Pick one of an image's captions int [V, T] at random, with some of its words left out: int [T].

    Args:
      word_starts: bool [K], as in `CaptionWriter`.
      word_dropout: probability of leaving out each word; a caption that would lose all of its words keeps them all.
    """
    choice_key, drop_key = jax.random.split(key)
    captions, word_starts = jnp.asarray(captions), jnp.asarray(word_starts)
    caption = captions[jax.random.randint(choice_key, (), 0, len(captions))]
    if not word_dropout:
        return caption
    word = jnp.cumsum(word_starts[caption])  # [T], the number of the word that a token belongs to
    stays = jax.random.bernoulli(drop_key, 1.0 - word_dropout, (caption.shape[0] + 1,))
    inside = caption != PADDING
    kept = inside & stays[word]
    kept = jnp.where(jnp.any(kept), kept, inside)
    order = jnp.argsort(~kept)  # stable: kept tokens move to the front in their order
    return jnp.where(kept[order], caption[order], PADDING)


# ---------------------------------------------------------------- data sets


def load_captioned(
    name: str,
    *,
    image_size: int | None = None,
    vocabulary: str = "bpe-1000",
    caption_length: int = 24,
    subcategories: bool = True,
    test_fraction: float | None = None,
) -> Dataset:
    """Load images with captions: batches of `image`, `caption` int32 [T] and all `captions` int32 [V, T] of the image.

    `caption` is the first of them, the one used as an image's prompt. Images with the same caption are on the same side
    of the split. The assets include the vocabulary and `caption_length`, T, from which `caption_writer` encodes
    captions.

    Args:
      name: `emoji` (1,911 emoji in two drawing styles by their Unicode names; the split is that of `load("emoji")`); or
        a folder of images whose captions are in a .txt file beside each image, of the same stem, one caption a line, or
        all in a table of the folder (`jaxgen.data.caption_files`), with a row for each caption.
      vocabulary: a name for `jaxgen.data.vocabulary.find_vocabulary`; pieces are learned from the training captions.
      subcategories: whether an emoji has a second caption, its name and its subcategory: "red apple, food fruit".
      test_fraction: held-out fraction of a folder's captions; None: 1 in 20 (of 100 or more).

    Raises:
      UserError: an image has no caption, or the folder's images or the vocabulary cannot be read.
    """
    if caption_length < 1:
        raise UserError(f"--caption-length must be at least 1, not {caption_length}.")
    if name == "emoji":
        data = load(name, image_size=image_size)
        captions = _emoji_captions(subcategories)
        texts = {part: [captions[i] for i in getattr(data, part)["emoji"]] for part in ("train", "test")}
        every = [text for caption in captions for text in caption]
        return _captioned(data, texts, every, vocabulary, caption_length)
    folder = Path(name).expanduser()
    if not folder.is_dir():
        raise UserError(f"--data {name} has no captions: name emoji, or a folder of images with captions.")
    return _load_folder(folder, image_size, vocabulary, caption_length, test_fraction)


def first_captions(data: Dataset, *, held_out: bool = True) -> list[str]:
    """Return the distinct first captions of the images of a captioned set, which serve as prompts, in order.

    The images are the held-out ones, or the training images if there is no test split.
    """
    split = data.test if held_out and data.test is not None else data.train
    arrays = split.entries if isinstance(split, FolderSource) else split
    assert is_resident(arrays)
    writer = caption_writer(data.assets)
    return list(dict.fromkeys(writer.decode(tokens) for tokens in np.asarray(arrays["captions"])[:, 0]))


def _plain(caption: str) -> str:
    return "".join(f" {word}" for word in normalized(caption.lower()).split())


def _emoji_captions(subcategories: bool) -> list[list[str]]:
    """Return the captions of each emoji."""
    emoji = emoji_arrays()
    names = [name.lower() for name in emoji.names]
    if not subcategories:
        return [[name] for name in names]
    kinds = (kind.replace("-", " ") for kind in emoji.subcategories)
    return [[name, f"{name}, {kind}"] for name, kind in zip(names, kinds, strict=True)]


def _vocabulary(name: str, train: Sequence[str], every: Sequence[str]) -> Vocabulary:
    """Learn pieces from the training captions, with the characters of all captions, so that all can be encoded.

    A resumed or reopened run has its own vocabulary.
    """
    if (known := recorded_asset("vocabulary")) is not None:
        return vocabulary_from_json(known)
    texts = every if name == "characters" else train
    return find_vocabulary(name, "\n".join(map(_plain, texts)))


def _tokens(captions: Sequence[Sequence[str]], writer: CaptionWriter) -> np.ndarray:
    """Encode captions as int32 [N, V, T]; an image with fewer captions than others repeats its own."""
    most = max(map(len, captions))
    check_memory(4 * len(captions) * most * writer.length, f"{most:,} captions for each of {len(captions):,} images")
    rows = [caption[i % len(caption)] for caption in captions for i in range(most)]
    return writer.encode(rows, cut=True).reshape(len(captions), most, -1)


def _captioned(
    data: Dataset, texts: Mapping[str, list[list[str]]], every: Sequence[str], vocabulary: str, length: int
) -> Dataset:
    train = [text for captions in texts["train"] for text in captions]
    writer = CaptionWriter(_vocabulary(vocabulary, train, every), length)
    splits = {part: {**getattr(data, part), "captions": _tokens(texts[part], writer)} for part in texts}
    return dataclasses.replace(data, **splits, prepare=_prepare, assets=data.assets | _assets(writer))


def _assets(writer: CaptionWriter) -> Json:
    return {"vocabulary": writer.vocabulary.to_json(), "caption_length": writer.length}


def _prepare(batch: Batch) -> Batch:
    captions = jnp.asarray(batch["captions"])
    return {**scale_images(batch), "captions": captions, "caption": captions[:, 0]}


def _load_folder(
    folder: Path, image_size: int | None, vocabulary: str, length: int, test_fraction: float | None
) -> Dataset:
    found = scan_folder(folder)
    captions = _captions_of(folder, [image.path for image in found.images])
    contents = file_digests(folder, found.images)
    digests = [digest(content, *texts) for content, texts in zip(contents, captions, strict=True)]
    names, firsts = [image.name for image in found.images], [caption[0] for caption in captions]
    division = divide(names, digests, test_fraction, keys=firsts)
    every = [text for caption in captions for text in caption]
    train = [text for i in division.train for text in captions[i]]
    writer = CaptionWriter(_vocabulary(vocabulary, train, every), length)
    entries = {"captions": _tokens(captions, writer)}
    expected = (".txt", *{Path(table).suffix for table in TABLES})
    data = dataset_of(found, division, image_size=image_size, entries=entries, expected=expected)
    return dataclasses.replace(data, prepare=_prepare, assets=data.assets | _assets(writer))


def _captions_of(folder: Path, paths: Sequence[Path]) -> list[list[str]]:
    """Return the captions of each picture under a folder, from its table or from the text files.

    Raises:
      UserError: a picture has no caption, or the table cannot be read.
    """
    table = find_table(folder)
    rows = read_table(table) if table is not None else {}
    captions = []
    for path in paths:
        name = path.relative_to(folder).as_posix()
        beside = next((file for end in (".txt", ".TXT") if (file := path.with_suffix(end)).is_file()), None)
        if table is not None:
            found = rows.get(file_key(name))
        else:
            found = None if beside is None else read_caption_lines(beside)
        if not found:
            where = f"its row in {table.name}" if table is not None else f"a text file {path.stem}.txt beside it"
            if table is None and beside is not None:
                where = f"a line in {beside.name}, which is blank"
            raise UserError(f"The image {name} of {folder} has no caption: give it {where}, or take it out.")
        captions.append(found)
    return captions
