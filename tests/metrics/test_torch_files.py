"""Reading what PyTorch wrote (tests/references/make_torch_files.py), and refusing what no state dict has."""

import io
import os
import pickle
import zipfile
from collections import OrderedDict

import chex
import numpy as np
import pytest
from helpers import REFERENCES
from hypothesis import strategies as st
from properties import QUICK_AND_SLOW, for_all
from references.random_arrays import arrays

from jaxgen.core.errors import UserError
from jaxgen.metrics import torch_files
from jaxgen.metrics.torch_files import read_torch_state

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
    chex.assert_shape(state["empty"], (0, 3))


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
    with pytest.raises(UserError, match="is a folder: name a file"):
        read_torch_state(tmp_path)


class Rebuilds:
    """A tensor of PyTorch as a pickle has it."""

    def __init__(self, *arguments):
        self.arguments = arguments

    def __reduce__(self):
        return torch_rebuild, self.arguments


class torch_storage:
    """Pickled as PyTorch does a storage: by its key, its type and its number of elements."""


def torch_rebuild(*arguments):
    """Stands for torch._utils._rebuild_tensor_v2."""


def as_archive(path, tensors, storages, *, compressed=True, extra=b""):
    """A file of tensors (offset, shape, strides) of the storage "0", and of the storages by key."""

    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            return ("storage", "<f4", "0", "cpu", 1) if isinstance(value, torch_storage) else None

    file = io.BytesIO()
    Pickler(file, protocol=2).dump({name: Rebuilds(torch_storage(), *how) for name, how in tensors.items()})
    named = file.getvalue().replace(f"c{__name__}\ntorch_rebuild\n".encode(), b"ctorch._utils\n_rebuild_tensor_v2\n")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", named)
        for key, content in storages.items():
            archive.writestr(f"archive/data/{key}", content)
    return path


def test_what_a_file_declares_is_held_against_the_limit_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXGEN_MAX_MEGABYTES", "1")
    zeros = {"0": bytes(4 * 2**20)}
    whole, path = {"w": (0, (2**20,), (1,))}, tmp_path / "model.pth"
    with pytest.raises(UserError, match=r"What .*model.pth declares would take 4 MB of memory, and the limit is 1 MB"):
        read_torch_state(as_archive(path, whole, zeros))
    part = {"w": (0, (1,), (1,))}  # of a storage that inflates
    with pytest.raises(UserError, match="would take 4 MB"):
        read_torch_state(as_archive(path, part, zeros))
    shared = {str(i): (0, (2**20,), (1,)) for i in range(9)}  # the same storage again and again
    with pytest.raises(UserError, match="would take 36 MB"):
        read_torch_state(as_archive(path, shared, zeros, compressed=False))
    state = read_torch_state(as_archive(path, whole, zeros, compressed=False))  # as large on the disk
    chex.assert_shape(state["w"], (2**20,))


@pytest.mark.parametrize(
    "how",
    [
        (0, ("a" * 100, 10**9), (1, 1)),  # would be multiplied to 100 GB
        (0, (3,), (1, 1)),
        (0, [3], [1]),
        (-1, (3,), (1,)),
        (0, (3.0,), (1,)),
        (0, (2**70,), (0,)),
        (0, (True,), (1,)),
        ("0", (1,), (1,)),
        (0, (1,) * 65, (1,) * 65),
    ],
)
def test_a_shape_that_is_none_is_refused(tmp_path, how):
    with pytest.raises(UserError, match="its entry 'w' has no plain shape"):
        read_torch_state(as_archive(tmp_path / "model.pth", {"w": how}, {"0": bytes(64)}))


@pytest.mark.parametrize("form", FORMATS)
def test_a_pickle_that_would_allocate_a_long_list_is_refused(form, tmp_path):
    hostile = b"\x80\x02}r\xff\xff\xff\x7f."  # an empty dictionary, remembered in place 2,147,483,647
    path = tmp_path / "model.pth"
    if form == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", hostile)
    else:
        path.write_bytes(hostile)
    with pytest.raises(UserError, match="its pickle of 9 bytes asks for 2,147,483,647 places"):
        read_torch_state(path)


def test_a_message_does_not_print_what_a_few_bytes_make_endless(tmp_path):
    nested = ()
    for _ in range(40):
        nested = (nested, nested)
    with pytest.raises(UserError, match=r"its entry .* is no tensor") as caught:
        read_torch_state(as_file({"w": nested}, "zip", tmp_path / "model.pth"))
    assert len(str(caught.value)) < 1000


@QUICK_AND_SLOW
@pytest.mark.parametrize("form", FORMATS)
def test_any_changed_bytes_are_tensors_or_one_sentence(form, tmp_path, examples):
    content = FORMATS[form].read_bytes()
    changes = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4)

    @for_all(examples, changes=changes)
    def check(changes):
        changed = bytearray(content)
        for place, value in changes:
            changed[int(place * len(changed))] = value
        (tmp_path / "model.pth").write_bytes(changed)
        try:
            state = read_torch_state(tmp_path / "model.pth")
        except UserError:
            return
        assert all(isinstance(array, np.ndarray) for array in state.values())


def test_nothing_that_a_file_does_to_a_name_lasts_until_the_next_file():
    first, second = torch_files._allowed(), torch_files._allowed()
    key = ("torch._utils", "_rebuild_tensor_v2")
    assert first[key] is not second[key]
