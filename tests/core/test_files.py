"""Files are written as a whole or not at all, and nothing happens through a symbolic link."""

import contextlib
import os
import resource
import stat

import pytest

from jaxgen.core import files
from jaxgen.core.errors import UserError


@contextlib.contextmanager
def failing(words):
    """The block must fail with an `OSError` that is explained by these words."""
    with pytest.raises(OSError, match=r"\[Errno") as caught:
        yield
    assert words in files.explain(caught.value)


def write_half(block):
    with block as part:
        (part / "b.png" if part.is_dir() else part).write_text("half")
        raise ZeroDivisionError


def test_a_file_is_replaced_as_a_whole_and_nothing_else_is_left(tmp_path):
    for text in ("first", "second ä"):
        files.write_atomically(tmp_path / "a.json", text)
        assert (tmp_path / "a.json").read_text(encoding="utf-8") == text
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    (tmp_path / "plain").write_text("")
    assert stat.S_IMODE((tmp_path / "a.json").stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_what_fails_half_way_leaves_the_old_file(tmp_path):
    (tmp_path / "a.png").write_text("old")
    with pytest.raises(ZeroDivisionError):
        write_half(files.replacing(tmp_path / "a.png"))
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a.png": "old"}


def test_a_file_that_would_be_too_large_leaves_the_old_file(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with failing("ulimit -f"):
            files.write_atomically(tmp_path / "a.bin", bytes(5000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a.bin": b"old"}


def test_a_long_name_can_be_replaced(tmp_path):
    files.write_atomically(tmp_path / ("n" * 250 + ".txt"), "text")
    with failing("too long"):
        files.write_atomically(tmp_path / ("n" * 256), "text")


def test_no_file_is_written_through_a_link(tmp_path):
    target = tmp_path / "precious"
    target.write_text("mine")
    for name in ("config.json", "metrics.jsonl"):
        (tmp_path / name).symlink_to(target)
    files.write_atomically(tmp_path / "config.json", "run")
    assert not (tmp_path / "config.json").is_symlink()
    with failing("symbolic link"):
        files.open_for_append(tmp_path / "metrics.jsonl")
    assert target.read_text() == "mine"


def test_a_pipe_in_place_of_a_file_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="no regular file"):
        files.read_bytes(tmp_path / "pipe")
    with failing("no regular file"):
        files.open_for_append(tmp_path / "pipe")


def test_files_move_into_a_folder_together_but_not_into_a_linked_one(tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "samples").symlink_to(tmp_path / "own")
    with failing("symbolic link"):
        write_half(files.moved_into(tmp_path / "samples"))
    with files.moved_into(tmp_path / "new") as part:
        assert part.parent == tmp_path / "new"
        (part / "a.wav").write_text("sound")
        (part / "a.png").write_text("picture")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["a.png", "a.wav"]
    with pytest.raises(ZeroDivisionError):
        write_half(files.moved_into(tmp_path / "new"))
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["a.png", "a.wav"]


def test_a_tree_is_removed_but_not_what_its_links_point_at(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_text("photo")
    (tmp_path / "run" / "samples").mkdir(parents=True)
    (tmp_path / "run" / "samples" / "photos").symlink_to(tmp_path / "photos")
    files.remove_tree(tmp_path / "run")
    files.remove_tree(tmp_path / "run")
    assert not (tmp_path / "run").exists()
    (tmp_path / "link").symlink_to(tmp_path / "photos")
    files.remove_tree(tmp_path / "link")
    assert (tmp_path / "photos" / "a.jpg").read_text() == "photo"


def test_leftovers_of_a_killed_process_are_removed_and_nothing_like_them(tmp_path):
    for name in (".a.part-0123456789abcdef.png", ".files.part-0123456789abcdef"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "half").write_text("")
    for name in ("a.part-0123456789abcdef.png", ".a.part-.png", ".a.part-0123456789abcdeg"):
        (tmp_path / name).write_text("")
    files.remove_parts(tmp_path)
    assert len(list(tmp_path.iterdir())) == 3
