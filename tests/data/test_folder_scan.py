"""Which files of a folder are its images."""

import pytest
from PIL import Image

from jaxgen.core.errors import UserError
from jaxgen.data.folder_scan import find_images, scan_folder
from jaxgen.data.images import IMAGE_FORMATS


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def names_of(folder):
    return [image.name for image in scan_folder(folder).images]


def test_hidden_files_and_what_systems_leave_are_ignored_without_a_word(tmp_path):
    touch(tmp_path, "cat/0.png", ".hidden.png", "._0.png", ".ipynb_checkpoints/0.png", "__MACOSX/cat/0.png")
    touch(tmp_path, ".DS_Store", "Thumbs.db", "desktop.ini", "cat/@eaDir/0.png", "cat/.thumbnails/0.png")
    found = scan_folder(tmp_path)
    assert [image.name for image in found.images] == ["cat/0.png"]
    assert found.note() == ()


def test_every_listed_format_is_read_by_pillow_itself_and_others_are_counted_on_one_line(tmp_path):
    Image.init()
    assert set(IMAGE_FORMATS.values()) <= set(Image.OPEN)
    assert not set(IMAGE_FORMATS.values()) & {"EPS", "WMF", "PDF", "MPEG", "HDF5", "GRIB", "BUFR"}
    touch(tmp_path, *(f"a{ending.upper()}" for ending in IMAGE_FORMATS), "b/c.eps", "d.eps", "e.txt", "README")
    found = scan_folder(tmp_path)
    assert len(found.images) == len(IMAGE_FORMATS)
    (line,) = found.note()
    assert line == (
        f"left out of {tmp_path}: 4 files with other endings (2 .eps, 1 without ending, 1 .txt), such as README"
    )
    assert "3 files" in found.note(expected=(".txt",))[0]


def test_linked_folders_are_followed_and_cycles_are_not(tmp_path):
    root, store = tmp_path / "set", tmp_path / "store"
    touch(root, "a/0.png", "a/1.png")
    touch(store, "b/0.png", "b/deep/1.png")
    (root / "b").symlink_to(store / "b")
    (store / "b" / "back").symlink_to(root)
    (root / "up").symlink_to(tmp_path)
    (root / "a" / "here").symlink_to(root / "a")
    (root / "Again").symlink_to(root / "a")  # before a by name, but no folder of its own
    (root / "gone").symlink_to(tmp_path / "nothing")
    (root / "c.png").symlink_to(root / "a" / "0.png")
    (root / "d.png").symlink_to(tmp_path / "e.png")
    touch(tmp_path, "e.png")
    assert names_of(root) == ["a/0.png", "a/1.png", "b/0.png", "b/deep/1.png", "d.png"]
    found = scan_folder(root)
    assert sorted(found.links) == ["Again", "a/here", "b/back", "c.png", "up"]
    assert found.left_out == ["gone"]
    assert "5 links to what is counted already, such as Again" in found.note()[0]


def test_a_folder_that_is_itself_a_link_is_as_good(tmp_path):
    touch(tmp_path, "real/a.png")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert names_of(tmp_path / "link") == ["a.png"]
    assert find_images(tmp_path / "link") == [tmp_path / "link" / "a.png"]


def test_a_folder_of_other_files_says_how_many_there_are(tmp_path):
    touch(tmp_path, "a.heic", "b.heic")
    with pytest.raises(
        UserError, match=r"has no images: files ending in \.png.* are looked for \(it has 2 other files"
    ):
        scan_folder(tmp_path)


def test_names_of_control_characters_are_shown_escaped(tmp_path):
    touch(tmp_path, "a.png", "b\x1b[31m.xyz")
    assert "\x1b" not in scan_folder(tmp_path).note()[0]
