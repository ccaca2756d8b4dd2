"""What is held out, and how data are known again."""

import json
import os

import numpy as np
import pytest

from jaxgen.core.errors import UserError
from jaxgen.data import content_digests as digests_module
from jaxgen.data.content_digests import digest, file_digests
from jaxgen.data.folder_scan import scan_folder
from jaxgen.data.identity import Identity, changes, identity_from_json, identity_of_arrays
from jaxgen.data.splits import Recorded, as_recorded, divide, held_out

NAMES = [f"{i}.png" for i in range(2_000)]


def test_one_in_so_many_is_held_out_whatever_else_there_is():
    for fraction in (0.05, 0.1, 0.5):
        chosen = held_out(NAMES, fraction)
        assert chosen.mean() == pytest.approx(fraction, rel=0.25)
        np.testing.assert_array_equal(held_out(NAMES[::2], fraction), chosen[::2])
        np.testing.assert_array_equal(held_out(NAMES[::-1], fraction), chosen[::-1])


def test_neither_split_is_ever_empty():
    for count in range(2, 40):
        for fraction in (0.02, 0.5):
            assert 0 < held_out(NAMES[:count], fraction).sum() < count
    assert not held_out(["one"], 0.5).any()
    assert not held_out(NAMES[:99], None).any()
    assert held_out(NAMES[:100], None).any()
    with pytest.raises(UserError, match=r"between 0 and 0\.5, not 0\.6"):
        held_out(NAMES, 0.6)


def test_a_run_opened_again_gets_what_it_recorded_and_nothing_else():
    before = divide(NAMES[:50], ["x"] * 50, 0.2)
    record = Recorded(before.identity, {})
    with as_recorded(record):
        same = divide(NAMES[:50], ["x"] * 50, 0.4)
        # the first is new, the next two are other pictures by now, the last is gone
        other = divide(["00.png", *NAMES[:49]], ["x", "y", "y", *["x"] * 47], 0.2)
    np.testing.assert_array_equal(same.train, before.train)
    np.testing.assert_array_equal(same.test, before.test)
    for part in ("train", "test"):
        kept = [name for name in getattr(before.identity, part) if name not in ("0.png", "1.png", "49.png")]
        assert list(getattr(other.identity, part)) == kept
        np.testing.assert_array_equal(getattr(other, part), [NAMES.index(name) + 1 for name in kept])
    assert set(other.identity.unused) == {"00.png", "0.png", "1.png"}
    assert changes(before.identity, same.identity) is None
    assert changes(before.identity, other.identity) == (
        "1 added (00.png), 1 removed (49.png), 2 changed (0.png, 1.png)"
    )
    assert divide(NAMES[:50], ["x"] * 50, 0.2).identity == before.identity  # the record is of the block alone


def test_a_run_of_a_version_that_recorded_nothing_holds_out_by_position():
    with as_recorded(Recorded(None, {})):
        assert divide(NAMES[:40], ["x"] * 40, 0.05).test.tolist() == [19, 39]


def test_items_of_one_key_are_held_out_together():
    keys = [name[0] for name in NAMES]
    chosen = divide(NAMES, ["x"] * len(NAMES), 0.5, keys=keys)
    assert not {keys[i] for i in chosen.train} & {keys[i] for i in chosen.test}


def test_a_fingerprint_is_of_names_and_contents_and_not_of_the_split():
    first = Identity({}, {"a": "1", "b": "2"}, {"c": "3"})
    assert first.fingerprint == Identity({}, {"c": "3", "b": "2"}, {"a": "1"}).fingerprint
    others = [
        Identity({}, {"a": "1", "b": "2"}),
        Identity({}, {"a": "1", "b": "2"}, {"c": "4"}),
        Identity({}, {"a": "1", "b": "2"}, {"d": "3"}),
        Identity({"c": "3"}, {"a": "1", "b": "2"}),
    ]
    assert len({other.fingerprint for other in others} | {first.fingerprint}) == 5
    assert identity_from_json(json.loads(json.dumps(first.to_json()))) == first
    assert changes(first, Identity({}, {"a": "1", "b": "2", "c": "3"})) == (
        "1 that were held out would be trained on (c)"
    )
    for damaged in (None, {}, {"wholes": {}, "train": [], "test": {}}, {"wholes": {}, "train": {"a": 1}, "test": {}}):
        with pytest.raises(ValueError, match="no table"):
            identity_from_json(damaged)


def test_arrays_are_known_by_their_values_types_and_shapes():
    values = np.arange(12, dtype=np.uint8)
    same = {"image": values.reshape(3, 4)}
    found = [
        identity_of_arrays(split).fingerprint
        for split in (same, {"image": values}, {"x": same["image"]}, {"image": same["image"].astype(np.int32)}, None)
    ]
    assert len(set(found)) == 5
    assert identity_of_arrays({"image": values.reshape(3, 4).copy()}).fingerprint == found[0]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for i in range(5):
        (tmp_path / "set" / f"{i}.png").parent.mkdir(exist_ok=True)
        (tmp_path / "set" / f"{i}.png").write_bytes(b"%d" % i)
    monkeypatch.setattr(digests_module, "_SETTLED", -(10**18))  # as if the files were old
    return tmp_path / "set"


def digests_of(folder, monkeypatch):
    """The digests, and how many files were read for them."""
    read, real = [], digests_module._digest_of
    with monkeypatch.context() as patch:
        patch.setattr(digests_module, "_digest_of", lambda path: read.append(path) or real(path))
        found = scan_folder(folder)
        return file_digests(folder, found.images), len(read)


def test_files_are_read_once_and_again_only_where_size_or_times_say_so(folder, monkeypatch):
    first, read = digests_of(folder, monkeypatch)
    assert (len(set(first)), read) == (5, 5)
    assert digests_of(folder, monkeypatch) == (first, 0)
    times = (folder / "3.png").stat()
    (folder / "3.png").write_bytes(b"x")  # as long as before
    os.utime(folder / "3.png", ns=(times.st_atime_ns, times.st_mtime_ns))  # and as old
    second, read = digests_of(folder, monkeypatch)
    assert read == 1
    assert [a == b for a, b in zip(first, second, strict=True)] == [True, True, True, False, True]


def test_a_file_changed_just_now_is_not_believed_to_stay(folder, monkeypatch):
    monkeypatch.setattr(digests_module, "_SETTLED", 10**18)
    assert digests_of(folder, monkeypatch)[1] == 5
    assert digests_of(folder, monkeypatch)[1] == 5


@pytest.mark.parametrize("damage", ["", "[]", '{"files": {"0.png": 3}}', '{"files": {"0.png": [1, 2, 3, 4]}}'])
def test_a_cache_that_cannot_be_used_is_no_error(folder, monkeypatch, tmp_path, damage):
    first, _ = digests_of(folder, monkeypatch)
    (cache,) = (tmp_path / "cache" / "jaxgen" / "folders").iterdir()
    cache.write_text(damage)
    assert digests_of(folder, monkeypatch) == (first, 5)
    cache.unlink()
    cache.parent.rmdir()
    cache.parent.write_text("a file where the folder should be")
    assert digests_of(folder, monkeypatch) == (first, 5)


def test_without_a_home_there_is_no_cache(folder, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr("pathlib.Path.home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    assert digests_of(folder, monkeypatch)[1] == 5


def test_parts_of_a_digest_do_not_run_together():
    assert digest("ab", "c") != digest("a", "bc")
    assert digest("\udc80")  # a name that is no UTF-8
