"""Tables of captions, as spreadsheets and scripts write them."""

import json

import pytest
from hypothesis import strategies as st
from properties import ODD_TEXTS, QUICK_AND_SLOW, for_all

from jaxgen.core.errors import UserError
from jaxgen.data.caption_files import file_key, find_table, read_caption_lines, read_table

ROWS = {"0.png": ["red, and round"], "sub/1.png": ['a "big" square', "two\nlines"]}


def comma_separated(separator=",", end="\n"):
    rows = [["file", "note", "caption"], *([file, "x", text] for file, texts in ROWS.items() for text in texts)]
    quoted = [['"' + cell.replace('"', '""') + '"' for cell in row] for row in rows]
    return end.join(separator.join(row) for row in quoted) + end


WAYS = {
    "plain.csv": comma_separated().encode(),
    "mark.csv": b"\xef\xbb\xbf" + comma_separated(end="\r\n").encode(),
    "utf16.csv": comma_separated("\t", "\r\n").encode("utf-16"),
    "semicolons.csv": comma_separated(";").encode(),
    "named_separator.csv": b"sep=;\r\n" + comma_separated(";", "\r\n").encode(),
    "old_mac.CSV": comma_separated("\t", "\r").encode(),
    "columns.csv": comma_separated().replace('"file"', '" File_Name "').replace('"caption"', '"TEXT"').encode(),
    "blank_rows.csv": ("\n,,\n" + comma_separated() + "\n,,,\n").encode(),
    "objects.jsonl": b"\xef\xbb\xbf"
    + "\r\n\n".join(json.dumps({"file": f, "text": t, "n": [1]}) for f, ts in ROWS.items() for t in ts).encode(),
}


@pytest.mark.parametrize("name", WAYS)
def test_a_table_gives_the_same_captions_however_it_was_saved(tmp_path, name):
    (tmp_path / name).write_bytes(WAYS[name])
    assert read_table(tmp_path / name) == ROWS


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "picture,caption\n0.png,red", "has no file among its columns, which are picture, caption"),
        ("a.csv", "picture;words\n0.png;red", "has no file and no caption among its columns, which are picture, words"),
        ("a.csv", "", "has no file and no caption among its columns, which are none"),
        ("a.csv", "file,caption\n", "has no rows"),
        (
            "a.csv",
            "file,caption\n0.png,red, round",
            "Line 2 of .* has 3 values for 2 columns: put values that hold a ','",
        ),
        ("a.csv", "file,caption\n0.png,red\n1.png\n", "Line 3 of .* has no caption"),
        ("a.csv", "file,caption\n ,red\n", "Line 2 of .* has no file"),
        ("a.csv", 'file,caption\n0.png,"red\n', "Line 2 of .* is no row of a table: unexpected end of data"),
        ("a.csv", "file,caption\n0.png," + "a" * 200_000, "Line 2 of .* is no row of a table: field larger than"),
        ("a.jsonl", '{"file": "0.png", "caption": "red"}\n{"file"', "Line 2 of .* is no JSON"),
        ("a.jsonl", "[1]", "Line 1 of .* is no JSON object"),
        ("a.jsonl", '{"file": "0.png", "caption": ["red"]}', "Line 1 of .* has a caption that is no text but list"),
        ("a.jsonl", '{"file": "0.png", "words": "red"}', "Line 1 of .* has no caption: .* It has file, words"),
        ("a.jsonl", '{"file": "0.png", "caption": null}', "Line 1 of .* has no caption: [^I]*$"),
        ("a.jsonl", "[" * 100_000, "Line 1 of .* is no JSON"),
        ("a.jsonl", '{"file": "0.png", "caption": "\\ud800"}', "holds what is no character"),
    ],
)
def test_a_table_that_cannot_be_read_is_said_with_its_line(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=message):
        read_table(tmp_path / name)


def test_a_row_and_a_file_find_each_other_however_their_name_is_written():
    assert file_key(".\\caf\u00e9\\1.png") == file_key("cafe\u0301/1.png") == "caf\u00e9/1.png"


def test_tables_are_found_in_any_case_and_in_their_order(tmp_path):
    assert find_table(tmp_path) is None
    (tmp_path / "captions.csv").mkdir()
    (tmp_path / "METADATA.JSONL").touch()
    assert find_table(tmp_path).name == "METADATA.JSONL"
    (tmp_path / "Captions.JsonL").touch()
    assert find_table(tmp_path).name == "Captions.JsonL"


def test_captions_beside_an_image_are_lines_whoever_wrote_them(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfred square\r\n\r\n red\x0bline \r\n")
    assert read_caption_lines(tmp_path / "a.txt") == ["red square", "red\x0bline"]


@QUICK_AND_SLOW
def test_any_table_is_captions_or_one_sentence(tmp_path, examples):
    cells = st.sampled_from(
        ["file", "caption", "text", "0.png", "", '"', ",", ";", "\t", "\n", "\r\n", "{", "}", ":", "\0"]
    )
    parts = st.lists(cells | ODD_TEXTS, max_size=25).map("".join)

    @for_all(
        examples, start=st.sampled_from(["", "file,caption\n", "sep=;\n", '{"file": "0.png", "caption": ']), rest=parts
    )
    def check(start, rest):
        for name in ("a.csv", "a.jsonl"):
            (tmp_path / name).write_text(start + rest, encoding="utf-8", newline="")
            try:
                table = read_table(tmp_path / name)
            except UserError:
                continue
            assert all(file and texts and all(text.strip() for text in texts) for file, texts in table.items())
