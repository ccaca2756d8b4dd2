"""Tunes in ABC notation: what is left of them, how they are split, and whether their bars add up."""

import pytest

from jaxgen.core.errors import UserError
from jaxgen.data.music import BETWEEN, bars_of_right_length, clean_tune, split_tunes, write_midi

TUNE = """X:7
T:A Title
R:reel
Z:Somebody
M:C|
L:1/8
K:Gm
"1"vBdcA G2GB | !trill!AFcF dF"4"cF |\\
uBdcA G2ag | % a remark
K:G
fdcA AGG2 |]
"""
CLEAN = "R:reel\nM:C|\nL:1/8\nK:Gm\nBdcA G2GB | AFcF dFcF |\nBdcA G2ag |\nK:G\nfdcA AGG2 |]"


def test_of_a_tune_its_notes_and_what_they_need_are_kept():
    assert clean_tune(TUNE).replace("|\n", "|\n").replace("| \n", "|\n") == CLEAN


def test_each_tune_is_in_one_part_and_one_in_ten_is_held_out():
    tunes = [f"tune {i}" for i in range(50)]
    train, test = (part.split(BETWEEN)[:-1] for part in split_tunes(tunes))
    assert len(test) == 5
    assert sorted(train + test) == sorted(tunes)


def test_bars_that_are_too_short_or_too_long_are_counted():
    head = "M:4/4\nL:1/8\nK:C\n"
    assert bars_of_right_length(head + "C2|CDEFGABc|C2D2E2F2|C2D2E2|CDEFGABcd|c8|c2|]") == (4, 6)
    assert bars_of_right_length("no tune at all") == (0, 0)


def test_a_tune_becomes_a_midi_file_and_what_is_none_is_refused(tmp_path):
    write_midi("M:4/4\nL:1/4\nK:C\nC E G c|", tmp_path / "tune.mid")
    import music21  # half a second

    notes = music21.converter.parse(str(tmp_path / "tune.mid")).recurse().notes
    assert [note.pitch.midi for note in notes] == [60, 64, 67, 72]
    with pytest.raises(UserError, match="cannot be read as ABC notation"):
        write_midi("no tune", tmp_path / "none.mid")
    assert not (tmp_path / "none.mid").exists()
