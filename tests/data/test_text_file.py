"""Text files: one text from every editor, and one sentence for what is no text."""

import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st
from properties import ODD_TEXTS, QUICK_AND_SLOW, for_all

from jaxgen.core.errors import UserError
from jaxgen.data import limits
from jaxgen.data.lines import load_lines
from jaxgen.data.text import load_text
from jaxgen.data.text_file import normalized, read_text_file

TEXT = "Zo\u00eb na\u00efve, \u4f60\u597d \U0001f600\nand a second line\n" * 30
WAYS = {
    "mark": b"\xef\xbb\xbf" + TEXT.encode(),
    "crlf": TEXT.replace("\n", "\r\n").encode(),
    "cr": TEXT.replace("\n", "\r").encode(),
    "utf16le": b"\xff\xfe" + TEXT.encode("utf-16-le"),
    "utf16be": b"\xfe\xff" + TEXT.encode("utf-16-be"),
    "utf32": b"\xff\xfe\0\0" + TEXT.encode("utf-32-le"),
    "nfd": unicodedata.normalize("NFD", TEXT).encode(),
    "all": b"\xff\xfe" + unicodedata.normalize("NFD", TEXT).replace("\n", "\r\n").encode("utf-16-le"),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_same_text_is_read_whoever_wrote_it(tmp_path, way):
    (tmp_path / "a.txt").write_bytes(WAYS[way])
    assert read_text_file(tmp_path / "a.txt") == TEXT


@pytest.mark.parametrize("load", [load_text, load_lines])
def test_tokens_and_vocabulary_do_not_depend_on_the_editor(tmp_path, load):
    (tmp_path / "plain.txt").write_text(TEXT)
    plain = load(str(tmp_path / "plain.txt"), sequence_length=8)
    for way in ("mark", "crlf", "cr", "all"):
        (tmp_path / "other.txt").write_bytes(WAYS[way])
        other = load(str(tmp_path / "other.txt"), sequence_length=8)
        assert other.assets == plain.assets
        for split in ("train", "test"):
            np.testing.assert_array_equal(getattr(other, split)["tokens"], getattr(plain, split)["tokens"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"one\ntwo caf\xe9\n",
            r"is no text in UTF-8 \(line 2, byte 11\)\. It may be in .* Latin-1: convert it \(iconv",
        ),
        (b"\xef\xbb\xbfone\r\ntwo\xff", r"begins with the mark of UTF-8 but is damaged \(line 2, byte 11\)"),
        (b"one\ntwo\0three", r"is no text: it has a NUL \(line 2, byte 7\)\. It looks like a binary file"),
        (TEXT.encode("utf-16-le"), r"looks like UTF-16 without its mark: convert it \(iconv -f UTF-16LE"),
        ("a long text".encode("utf-16-be"), r"looks like UTF-16 without its mark: convert it \(iconv -f UTF-16BE"),
        (b"\xff\xfea\0b\0c", r"begins with the mark of UTF-16 but is damaged \(line 1, byte 6\)"),
        (b"\xff\xfea\0\0\0c\0", "character 2 is a NUL"),
        (b"\x89PNG\x01\x02\xff", "It looks like a binary file"),
    ],
)
def test_what_is_no_text_is_said_with_its_place(tmp_path, content, message):
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_text_file(tmp_path / "a.txt")


def test_what_is_no_regular_file_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.txt")
    for path in (tmp_path / "pipe.txt", Path("/dev/zero")):
        with pytest.raises(UserError, match="is no regular file"):
            read_text_file(path)
    with pytest.raises(UserError, match="is a folder: name a file"):
        read_text_file(tmp_path)
    with pytest.raises(UserError, match=r"There is no file .*none"):
        read_text_file(tmp_path / "none.txt")
    with pytest.raises(UserError, match="cannot be read"):
        read_text_file(tmp_path / "a\0b")


def test_a_file_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    with (tmp_path / "holes.txt").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(UserError, match=r"would take 4,194,304 MB of memory, and the limit is 1,024 MB: .* JAXGEN_MAX"):
        read_text_file(tmp_path / "holes.txt")
    (tmp_path / "a.txt").write_text("a" * 300_000)
    monkeypatch.setenv(limits.VARIABLE, "1")
    with pytest.raises(UserError, match="would take 2 MB"):
        read_text_file(tmp_path / "a.txt")
    monkeypatch.setenv(limits.VARIABLE, "2")
    assert len(read_text_file(tmp_path / "a.txt")) == 300_000


def test_half_a_character_is_refused():
    with pytest.raises(UserError, match=r"holds what is no character"):
        normalized("a \udce9 b")
    assert normalized("e\u0301\r\n\r") == "\u00e9\n\n"


@QUICK_AND_SLOW
def test_any_bytes_are_a_normal_text_or_one_sentence(tmp_path, examples):
    marks = st.sampled_from([b"", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\xff\xfe\0\0", b"\0\0\xfe\xff"])
    texts = st.builds(str.encode, ODD_TEXTS, st.sampled_from(["utf-8", "utf-16-le", "utf-16-be", "utf-32-le"]))

    @for_all(examples, mark=marks, content=st.binary() | texts)
    def check(mark, content):
        (tmp_path / "a.txt").write_bytes(mark + content)
        try:
            text = read_text_file(tmp_path / "a.txt")
        except UserError:
            return
        assert "\r" not in text
        assert "\0" not in text
        assert unicodedata.is_normalized("NFC", text)
        (tmp_path / "b.txt").write_text(text, encoding="utf-8", newline="")
        assert read_text_file(tmp_path / "b.txt") == text.removeprefix("\ufeff")


@QUICK_AND_SLOW
def test_any_text_is_windows_or_one_sentence(tmp_path, examples):
    @for_all(examples, text=ODD_TEXTS, length=st.integers(-1, 12), load=st.sampled_from([load_text, load_lines]))
    def check(text, length, load):
        (tmp_path / "a.txt").write_text(text, encoding="utf-8", newline="")
        try:
            data = load(str(tmp_path / "a.txt"), sequence_length=length)
        except UserError:
            return
        assert data.train["tokens"].shape[1] == length + 1
        assert data.train["tokens"].max() < len(data.assets["vocabulary"]["characters"])
