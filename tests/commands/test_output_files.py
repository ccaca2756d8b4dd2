"""What commands write: nothing that exists without --overwrite, never an input, whole files or none."""

import errno
import importlib
import os
import unicodedata
from dataclasses import fields
from pathlib import Path

import pytest
from command_lines import assert_refused, command
from helpers import file_digests

from jaxgen.__main__ import COMMANDS
from jaxgen.commands import _outputs
from jaxgen.commands._outputs import OutputOptions, check_files, check_output, check_output_folder, writing
from jaxgen.core.errors import UserError


def test_every_command_that_writes_can_be_told_to_overwrite():
    for name in set(COMMANDS) - {"train"}:
        options = importlib.import_module(f"jaxgen.commands.{name}").Options
        if "out" in {field.name for field in fields(options)}:
            assert issubclass(options, OutputOptions), name


@pytest.mark.parametrize(
    ("arguments", "default"),
    [
        (("sample", "RUN"), "sheet.png"),
        (("sample", "RUN", "--out", "a.npz"), "a.npz"),
        (("interpolate", "RUN"), "interpolation.png"),
        (("augment", "RUN", "--num", 2, "--out", "a.npz"), "a.npz"),
        (("export", "RUN", "--out", "a.stablehlo"), "a.stablehlo"),
        (("latent", "RUN", "manifold"), "latent_manifold.png"),
        (("evaluate", "--real", "mnist", "--generated", "mnist", "--out", "a.json"), "a.json"),
        (("stylize", "a.png", "b.png"), "stylized.png"),
    ],
)
def test_an_output_that_exists_is_not_touched_and_a_free_one_is_named(tiny, here, arguments, default):
    (here / default).write_text("mine")
    run = tiny / "runs" / "tiny_experiment" / "001"
    name, ending = default.split(".")
    free = rf"{default} exists: give --overwrite to replace it, or another output \(--out {name}_2\.{ending} is free\)"
    assert_refused(command(*(run if word == "RUN" else word for word in arguments)), free)
    assert [(path.name, path.read_text()) for path in here.iterdir()] == [(default, "mine")]


def test_what_is_told_to_be_overwritten_is_replaced_as_a_whole_and_no_link_is_followed(tiny, here):
    run = tiny / "runs" / "tiny_experiment" / "001"
    (here / "original.npz").write_text("mine")
    (here / "link.npz").symlink_to("original.npz")
    code, _, err = command("sample", run, "--num", 2, "--out", "link.npz", "--overwrite")
    assert (code, err) == (0, "")
    assert not (here / "link.npz").is_symlink()
    assert (here / "original.npz").read_text() == "mine"
    assert sorted(os.listdir(here)) == ["link.npz", "original.npz"]


@pytest.mark.parametrize("how", ["same", "link", "hard link", "folder link"])
def test_an_input_is_never_an_output(here, how):
    (here / "a.png").write_text("a picture")
    out = here / "b.png"
    if how == "same":
        out = here / "a.png"
    elif how == "link":
        out.symlink_to("a.png")
    elif how == "hard link":
        out.hardlink_to("a.png")
    else:
        (here / "same").symlink_to(here)
        out = here / "same" / "a.png"
    with pytest.raises(UserError, match="is one of the inputs, which are never replaced"):
        check_output(out, (".png",), overwrite=True, inputs=[Path("a.png")])


@pytest.mark.parametrize(
    ("images", "also"),
    [
        (("one/a.png", "two/a.png"), ()),
        (("a.png", "a.jpg"), ()),
        (("a.png", "A.jpg"), ()),
        (("straße.png", "STRASSE.png"), ()),
        ((unicodedata.normalize("NFC", "é.png"), unicodedata.normalize("NFD", "é.png")), ()),
        (("a.png", "a_without.jpg"), ("_without",)),
    ],
)
def test_images_that_would_become_one_file_are_refused(here, images, also):
    with pytest.raises(UserError, match=r"Two images would become one file, .*different --out"):
        check_output_folder([Path(image) for image in images], Path("out"), overwrite=True, also=also)
    assert list(here.iterdir()) == []


def test_images_of_different_names_become_files_of_these_names(here):
    outputs = check_output_folder([Path("a.left.png"), Path("b.jpg")], Path("out"), overwrite=False)
    assert outputs == [Path("out/a.left.png"), Path("out/b.png")]


@pytest.mark.parametrize(
    ("out", "words"),
    [
        ("x.jpg", r"must end in \.png"),
        ("no/x.png", "The folder of --out no/x.png does not exist"),
        ("file/x.png", "The folder of --out file/x.png does not exist"),
        ("folder.png", "folder.png exists and is no file"),
        (f"{'x' * 300}.png", "is too long for this disk"),
        (f"{'x' * 5000}.png", "too long"),
    ],
)
@pytest.mark.parametrize("overwrite", [False, True])
def test_outputs_that_cannot_be_written_are_refused_before_the_work(here, out, words, overwrite):
    (here / "file").write_text("")
    (here / "folder.png").mkdir()
    before = sorted(os.listdir(here))
    with pytest.raises(UserError, match=words) as refused:
        check_output(Path(out), (".png",), overwrite=overwrite)
    assert len(str(refused.value)) < 500
    assert sorted(os.listdir(here)) == before


def test_endings_count_in_any_case(here):
    check_output(Path("X.PNG"), (".png",), overwrite=False)


def test_a_folder_is_refused_where_it_cannot_be_written_or_its_disk_is_full(here, monkeypatch):
    def refuse(*arguments, **options):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as patch:
        patch.setattr(_outputs.tempfile, "TemporaryFile", refuse)
        with pytest.raises(UserError, match=r"cannot be written \(the disk is mounted read-only\)"):
            check_files([here / "new" / "a.png"], here / "new", overwrite=False)
    with pytest.raises(UserError, match="bytes left, too few"):
        check_files([here / "a.png"], here, overwrite=False, size=2**62)
    (here / "file").write_text("")
    with pytest.raises(UserError, match="file is a file, not a folder"):
        check_files([here / "file" / "new" / "a.png"], here, overwrite=False)


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt(), ValueError()])
def test_a_write_that_fails_leaves_what_was_there(here, error):
    (here / "a.txt").write_text("old")
    kind = UserError if isinstance(error, OSError) else type(error)
    _outputs.forget()

    def fail():
        with writing(Path("a.txt")) as part:
            part.write_text("new")
            raise error

    with pytest.raises(kind, match=r"a\.txt cannot be written: the disk is full" if kind is UserError else None):
        fail()
    assert [(path.name, path.read_text()) for path in here.iterdir()] == [("a.txt", "old")]
    assert _outputs.stopped() == "stopped; nothing was written"


def test_what_was_written_is_said_when_a_command_is_stopped(here):
    _outputs.forget()
    for name in "abc":
        with writing(Path(f"new/{name}.txt")) as part:
            part.write_text(name)
    assert _outputs.stopped() == "stopped; written: new/a.txt and 2 more"
    assert sorted(os.listdir("new")) == ["a.txt", "b.txt", "c.txt"]


def test_what_is_half_written_is_removed_before_the_process_is_ended(here):
    with writing(Path("a.txt")) as part:
        part.write_text("half")
        _outputs.remove_unfinished()
        assert os.listdir(here) == []
        part.write_text("again")  # as if the process had not been ended, so that the block ends well
    assert file_digests(here).keys() == {"a.txt"}
