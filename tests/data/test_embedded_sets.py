"""The embedded data is what its publishers published."""

import dataclasses
import hashlib
import struct
import time

import numpy as np
import pytest
import rebuild_embedded

from jaxgen.core.errors import UserError
from jaxgen.data import embedded_sets, mu_law
from jaxgen.data.embedded_sets import EMBEDDED


def idx(array: np.ndarray) -> bytes:
    """The array as an idx file of bytes, the format in which MNIST was published."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture(scope="module")
def mnist():
    return embedded_sets.mnist_arrays()


def test_mnist_has_the_published_checksums(mnist):
    published = [  # of the four files as they lie on LeCun's page, unpacked
        "6bbc9ace898e44ae57da46a324031adb",
        "a25bea736e30d166cdddb491f175f624",
        "2646ac647ad5339dbf082846283269ea",
        "27ae3e4e09519cfbb04c329615203637",
    ]
    arrays = [mnist.train_images[..., 0], mnist.train_labels, mnist.test_images[..., 0], mnist.test_labels]
    assert [hashlib.md5(idx(array)).hexdigest() for array in arrays] == published


def test_mnist_has_the_published_counts_and_first_labels(mnist):
    assert mnist.train_images.shape == (60_000, 28, 28, 1)
    assert mnist.test_images.shape == (10_000, 28, 28, 1)
    assert mnist.train_labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]


def test_mnist_is_read_in_a_moment():
    start = time.process_time()
    embedded_sets.mnist_arrays()
    assert time.process_time() - start < 2.0


def test_kjv_has_the_checksum_of_the_printed_text():
    text = embedded_sets.kjv_text()
    published = "cd45f0c9cedab8e4439bd6486c8952c77cc8b0ecc5d1f6ae3513f2039f47229d"
    assert hashlib.sha256(text.encode()).hexdigest() == published
    assert len(text) == 4_404_412
    assert len(set(text)) == 73
    assert text.startswith("Ge1:1 In the beginning God created the heaven and the earth.\n")


def test_every_emoji_is_drawn_in_both_styles():
    emoji = embedded_sets.emoji_arrays()
    assert emoji.google.shape == emoji.twitter.shape == (1911, 32, 32, 3)
    assert len(emoji.names) == len(emoji.categories) == len(emoji.subcategories) == len(set(emoji.codes)) == 1911
    for images in (emoji.google, emoji.twitter):
        assert (images.reshape(1911, -1) != 255).any(axis=1).all()  # none is blank
        # White and black squares, waves, ... are drawn alike, but hardly any two emoji are the same picture.
        assert len({image.tobytes() for image in images}) > 1850


def test_the_two_styles_of_emoji_are_in_the_same_order():
    emoji = embedded_sets.emoji_arrays()
    red, green = emoji.codes.index("1F534"), emoji.codes.index("1F7E2")
    assert "RED CIRCLE" in emoji.names[red]
    for images in (emoji.google, emoji.twitter):
        red_middle, green_middle = images[red, 16, 16].astype(int), images[green, 16, 16].astype(int)
        assert red_middle[0] > red_middle[1] + 50
        assert green_middle[1] > green_middle[0] + 50
    # The mean colors of a pair are alike, those of different emoji are not.
    google, twitter = (images.mean(axis=(1, 2)) for images in (emoji.google, emoji.twitter))
    together = np.linalg.norm(google - twitter, axis=1).mean()
    apart = np.linalg.norm(google - np.roll(twitter, 700, axis=0), axis=1).mean()
    assert together < 0.6 * apart


def test_spoken_has_155_clips_of_known_length():
    spoken = embedded_sets.spoken_clips()
    seconds = spoken.lengths / 8000
    assert len(spoken.lengths) == len(spoken.words) == 155
    assert spoken.codes.shape == (spoken.lengths.sum(),)
    assert 138.0 < seconds.sum() < 138.1
    assert 0.58 < seconds.min() < seconds.max() < 1.58


def test_spoken_words_are_words():
    words = embedded_sets.spoken_clips().words
    assert not any(character.isdigit() or character == "-" for word in words for character in word)
    assert {"zero", "twentieth", "sunday", "december", "o'clock", "left brace", "z", "zed"} <= set(words)
    # Said by both folders, digits and letters, or by a sign and its name.
    assert {word for word in words if words.count(word) > 1} == {"at", "star"}


def test_spoken_clips_are_sound():
    spoken = embedded_sets.spoken_clips()
    for clip in np.split(mu_law.mu_law_decode(spoken.codes), np.cumsum(spoken.lengths)[:-1]):
        assert abs(clip.mean()) < 0.01
        assert clip.std() > 0.01


def test_mu_law_codes_survive_decoding_and_encoding():
    codes = np.arange(256, dtype=np.uint8)
    amplitudes = mu_law.mu_law_decode(codes)
    assert (np.diff(amplitudes) > 0).all()
    assert amplitudes[[0, 255]].tolist() == [-1.0, 1.0]
    np.testing.assert_array_equal(mu_law.mu_law_encode(amplitudes), codes)
    assert mu_law.mu_law_encode(np.zeros(1)) == mu_law.SILENCE


@pytest.mark.parametrize("row", EMBEDDED.values(), ids=lambda row: row.name)
def test_every_file_of_the_table_is_read_and_has_its_notice(row):
    notices = embedded_sets.resources.files("jaxgen.data.embedded").joinpath("LICENCES.md").read_text("utf-8")
    for file in row.files:
        assert embedded_sets.read_file(row.name, file)
        assert file in notices
    assert row.license
    assert row.kind in ("image", "text", "audio")


def test_the_table_covers_every_embedded_file_and_they_are_small():
    folder = embedded_sets.resources.files("jaxgen.data.embedded")
    shipped = {
        file.name: len(file.read_bytes()) for file in folder.iterdir() if file.name.endswith((".xz", ".png", ".json"))
    }
    assert set(shipped) == {file for row in EMBEDDED.values() for file in row.files}
    assert sum(shipped.values()) < 16e6


def test_the_rebuild_script_rebuilds_the_sets_of_the_table():
    assert set(rebuild_embedded.REBUILD) == set(EMBEDDED)


def test_the_rebuild_script_compresses_as_was_shipped():
    file = embedded_sets.read_file("spoken", "spoken.xz")
    again = rebuild_embedded.compress(embedded_sets.lzma.decompress(file))
    assert embedded_sets.lzma.decompress(again) == embedded_sets.lzma.decompress(file)
    assert abs(len(again) - len(file)) < 0.01 * len(file)  # the same bytes, unless liblzma is another version


def test_a_changed_file_is_refused(monkeypatch):
    row = EMBEDDED["spoken"]
    monkeypatch.setitem(EMBEDDED, "spoken", dataclasses.replace(row, files={**row.files, "spoken.json": "0" * 64}))
    with pytest.raises(UserError, match=r"spoken.json is not the one that jaxgen ships"):
        embedded_sets.spoken_clips()


def test_a_missing_file_is_named():
    with pytest.raises(UserError, match=r"gone.xz is missing"):
        embedded_sets.read_file("spoken", "gone.xz")
