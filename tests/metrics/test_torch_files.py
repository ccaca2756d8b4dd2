"""Reading what PyTorch wrote (tests/references/make_torch_files.py), and refusing what no state dict has."""

import io
import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from references.random_arrays import arrays

from jaxgen.errors import UserError
from jaxgen.metrics import torch_files
from jaxgen.metrics.torch_files import read_torch_state

REFERENCES = Path(__file__).parent.parent / "references"
FORMATS = {"zip": REFERENCES / "torch_zip.pth", "legacy": REFERENCES / "torch_legacy.pth"}


class RunsACommand:
    """What an attacker would pickle."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def as_file(value, form, path):
    """Writes any object as PyTorch frames it, without storages."""
    if form == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", pickle.dumps(value, protocol=2))
    else:
        parts = (torch_files.LEGACY_MAGIC, 1001, {"little_endian": True}, value, [])
        path.write_bytes(b"".join(pickle.dumps(part, protocol=2) for part in parts))
    return path


@pytest.mark.parametrize("form", FORMATS)
def test_tensors_of_every_type_come_back_bit_for_bit(form):
    state = read_torch_state(FORMATS[form])
    for name, array in arrays().items():
        assert state[name].dtype == array.dtype
        np.testing.assert_array_equal(state[name], array)
    assert list(state) == [*arrays(), "transposed", "columns", "parameter", "empty"]


@pytest.mark.parametrize("form", FORMATS)
def test_strides_and_offsets_into_a_shared_storage_are_followed(form):
    state, matrix = read_torch_state(FORMATS[form]), arrays()["float32"]
    np.testing.assert_array_equal(state["transposed"], matrix.T)
    np.testing.assert_array_equal(state["columns"], matrix[:, 1:3])
    np.testing.assert_array_equal(state["parameter"], matrix)
    assert state["empty"].shape == (0, 3)


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_that_would_run_a_command_is_refused_and_does_not(form, tmp_path):
    trace = tmp_path / "was_here"
    path = as_file(OrderedDict(weight=RunsACommand(f"touch '{trace}'")), form, tmp_path / "model.pth")
    with pytest.raises(UserError, match=r"asks for (posix|nt)\.system; only a state dict of plain tensors is"):
        read_torch_state(path)
    assert not trace.exists()


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"epoch": 3}, "its entry 'epoch' is no tensor"),
        ({"model": {}}, "its entry 'model' is no tensor"),
        ([1, 2], "it holds a list"),
        ({"f": eval}, r"asks for (__builtin__|builtins)\.eval"),
        ({"f": io.BytesIO(b"")}, "asks for _io.BytesIO"),
    ],
)
def test_anything_but_named_tensors_is_refused(value, message, form, tmp_path):
    with pytest.raises(UserError, match=message):
        read_torch_state(as_file(value, form, tmp_path / "model.pth"))


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_cut_short_is_refused(form, tmp_path):
    path = tmp_path / "model.pth"
    path.write_bytes(FORMATS[form].read_bytes()[:-100])
    with pytest.raises(UserError, match=r"model\.pth"):
        read_torch_state(path)


def test_a_tensor_larger_than_its_storage_is_refused(tmp_path):
    path = tmp_path / "model.pth"
    with zipfile.ZipFile(FORMATS["zip"]) as whole, zipfile.ZipFile(path, "w") as cut:
        for name in whole.namelist():
            content = whole.read(name)
            cut.writestr(name, content[:-8] if "/data/" in name else content)
    with pytest.raises(UserError, match=r"a tensor of shape \(3, 4\) does not fit"):
        read_torch_state(path)


def test_other_files_are_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("no weights here")
    with pytest.raises(UserError, match=r"notes\.txt is no state dict of PyTorch"):
        read_torch_state(tmp_path / "notes.txt")
    (tmp_path / "other.pkl").write_bytes(pickle.dumps({"weight": 1.0}))
    with pytest.raises(UserError, match="it is the pickle of something else"):
        read_torch_state(tmp_path / "other.pkl")
    with pytest.raises(UserError, match=r"There is no file .*absent.pth"):
        read_torch_state(tmp_path / "absent.pth")
    with pytest.raises(UserError, match="cannot be read"):
        read_torch_state(tmp_path)


def test_nothing_that_a_file_does_to_a_name_lasts_until_the_next_file():
    first, second = torch_files._allowed(), torch_files._allowed()
    key = ("torch._utils", "_rebuild_tensor_v2")
    assert first[key] is not second[key]
