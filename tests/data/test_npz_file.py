"""Images and labels in .npz and .npy files: what their numbers mean, and one sentence for every other file."""

import io
import zipfile

import numpy as np
import pytest
from hypothesis import strategies as st
from properties import QUICK_AND_SLOW, for_all

from jaxgen import UserError
from jaxgen.data import load, scale_images
from jaxgen.data.images import resize_arrays
from jaxgen.data.npz_file import read_npz
from jaxgen.metrics.image_source import of_path

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), np.uint8)
IMAGES[0, 0, 0] = 0, 255, 128


@pytest.mark.parametrize("name", ["image", "images", "samples", "arr_0"])
def test_the_images_are_found_under_any_of_their_names(tmp_path, name):
    np.savez(tmp_path / "x.npz", other=np.zeros(3), **{name: IMAGES})
    np.testing.assert_array_equal(read_npz(tmp_path / "x.npz").images, IMAGES)


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("layout", [np.ascontiguousarray, np.asfortranarray, lambda x: x[::-1, ::2]])
def test_arrays_come_back_whatever_their_layout(tmp_path, write, layout):
    write(tmp_path / "x.npz", image=layout(IMAGES))
    np.testing.assert_array_equal(read_npz(tmp_path / "x.npz").images, layout(IMAGES))
    with (tmp_path / "X.NPY").open("wb") as file:
        np.save(file, layout(IMAGES))
    np.testing.assert_array_equal(load(str(tmp_path / "X.NPY")).train["image"], layout(IMAGES))


def test_gray_images_may_lack_their_channel(tmp_path):
    np.savez(tmp_path / "x.npz", image=IMAGES[..., 0])
    assert read_npz(tmp_path / "x.npz").images.shape == (6, 8, 8, 1)


# ---------------------------------------------------------------- what numbers mean

WIDE = IMAGES.astype(np.float64)
TAKEN = {
    "uint8": (IMAGES, IMAGES, "uint8 from 0 to 255"),
    "int64": (IMAGES.astype(np.int64), IMAGES, "int64 from 0 to 255"),
    "big_endian": (IMAGES.astype(">i2"), IMAGES, "int16 from 0 to 255"),
    "uint16": (IMAGES.astype(np.uint16) * 257, IMAGES, "uint16 from 0 to 65535"),
    "bool": (IMAGES > 127, np.where(IMAGES > 127, 255, 0), "bool, True is white"),
    "signed": (np.asarray(scale_images({"image": IMAGES})["image"]), IMAGES, "float32 from -1 to 1"),
    "big_endian_float": ((WIDE / 127.5 - 1).astype(">f8"), IMAGES, "float64 from -1 to 1"),
    "unit": (WIDE / 255, IMAGES, "float64 from 0 to 1"),
    "half": ((WIDE / 255).astype(np.float16), IMAGES, "float16 from 0 to 1"),
    "rounding": ((WIDE / 255 * 1.0018 - 0.0009), np.rint(WIDE * 1.0018 - 0.23).clip(0, 255), "float64 from 0 to 1"),
}


@pytest.mark.parametrize("kind", TAKEN)
def test_the_range_is_decided_by_the_type_and_said(tmp_path, kind):
    stored, expected, values = TAKEN[kind]
    np.savez(tmp_path / "x.npz", image=stored)
    found = read_npz(tmp_path / "x.npz")
    assert found.images.dtype == np.uint8
    assert np.abs(found.images.astype(int) - expected).max() <= (kind == "rounding")
    assert values in found.values
    assert load(str(tmp_path / "x.npz")).facts == (values,)
    assert of_path(tmp_path / "x.npz").name.endswith(f"({values})" if kind != "uint8" else "x.npz")


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (
            WIDE,
            r"has float64 from 0 to 255: images are uint8 \(0..255\), or floats in \[-1, 1\] or \[0, 1\]; scale them",
        ),
        (WIDE / 127.5 - 1.1, r"has float64 from -1.1 to 0.9"),
        (np.where(IMAGES == 128, np.nan, 0.5), "values that are not finite .* image 0 first"),
        (np.where(IMAGES == 128, np.inf, 0.5), "values that are not finite"),
        (IMAGES.astype(np.uint16), "uint16 from 0 to 255, but white is 65,535 in uint16"),
        (IMAGES.astype(np.int64) * 2, r"int64 from 0 to 510: images are uint8"),
        (IMAGES.astype(np.int16) - 128, r"int16 from -128 to 127: images are uint8"),
        (IMAGES.astype(np.int64) // 128, "int64 from 0 to 1: nothing says which is white"),
        (IMAGES.astype(np.complex64), "images of type complex64"),
        (IMAGES.astype("U3"), "is an array of <U3, not of numbers"),
        (IMAGES.astype("datetime64[s]"), "is an array of datetime64"),
        (np.zeros(6, [("a", "u1"), ("b", "f4")]), r"is an array of \[\('a'.*not of numbers"),
        (np.array([{}, {}], object), "is an array of Python objects, not of numbers"),
        (IMAGES[:0], r"has no images: its array has the shape \[0, 8, 8, 3\]"),
        (IMAGES[0], r"shape \[8, 8, 3\], which looks like one image: store \[1, H, W, C\]"),
        (IMAGES.transpose(0, 3, 1, 2), r"shape \[6, 3, 8, 8\]: images are \[N, H, W, C\] .* Move its second axis"),
        (np.zeros((2, 8, 8, 4), np.uint8), r"shape \[2, 8, 8, 4\]: images are .* last\.$"),
        (np.zeros((2, 64), np.uint8), r"shape \[2, 64\]: images are"),
        (np.uint8(3), r"shape \[\]: images are"),
    ],
)
def test_what_has_no_known_range_or_shape_is_refused_with_the_figures(tmp_path, stored, message):
    np.savez(tmp_path / "x.npz", image=stored)
    with pytest.raises(UserError, match=message):
        read_npz(tmp_path / "x.npz")


def test_image_size_and_channels_are_honored(tmp_path):
    np.savez(tmp_path / "x.npz", image=IMAGES)
    for channels in (1, 3):
        found = load(str(tmp_path / "x.npz"), image_size=5, channels=channels).train["image"]
        np.testing.assert_array_equal(found, resize_arrays(IMAGES, 5, channels))
    assert load(str(tmp_path / "x.npz"), channels=1).train["image"].shape == (6, 8, 8, 1)
    assert of_path(tmp_path / "x.npz", image_size=4).shape == (4, 4, 3)
    np.savez(tmp_path / "grey.npz", image=IMAGES[..., 0])
    gray = load(str(tmp_path / "grey.npz"), channels=3).train["image"]
    np.testing.assert_array_equal(gray, np.repeat(IMAGES[..., :1], 3, axis=-1))


# ---------------------------------------------------------------- labels


def test_a_file_with_labels_is_a_data_set(tmp_path):
    np.savez(tmp_path / "digits.npz", image=IMAGES, label=np.array([0, 1, 2, 0, 1, 2]))
    data = load(str(tmp_path / "digits.npz"))
    assert (data.name, data.test, data.assets) == ("digits", None, {"class_names": ["0", "1", "2"]})
    assert data.train["label"].dtype == np.int32
    assert data.facts == ("uint8 from 0 to 255", "3 classes by label")


@pytest.mark.parametrize(
    "labels", [np.zeros(5, int), np.zeros(6), np.full(6, -1), np.zeros((6, 1), int), np.arange(6) > 2]
)
def test_labels_that_do_not_fit_are_refused(tmp_path, labels):
    np.savez(tmp_path / "x.npz", image=IMAGES, label=labels)
    with pytest.raises(UserError, match=r"one label .* for each of its 6 images"):
        read_npz(tmp_path / "x.npz")


def test_one_large_label_makes_no_list_of_classes(tmp_path):
    np.savez(tmp_path / "x.npz", image=IMAGES, label=np.array([0, 1, 2, 3, 4, 2_000_000_000]))
    with pytest.raises(UserError, match=r"labels from 0 to 2,000,000,000: .* below 100,000"):
        load(str(tmp_path / "x.npz"))
    np.savez(tmp_path / "x.npz", image=IMAGES, label=np.array([0, 1, 2, 3, 4, 6]))
    assert read_npz(tmp_path / "x.npz").labels.max() == 6  # samples of a few classes of many
    with pytest.raises(UserError, match="labels up to 6 for 6 images: number the classes from 0 on"):
        load(str(tmp_path / "x.npz"))


# ---------------------------------------------------------------- damaged and hostile files


def archive(**members):
    """A zip of raw members."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in members.items():
            target.writestr(f"{name}.npy", content)
    return file.getvalue()


def npy(shape, dtype="|u1", content=b"", order="False"):
    """A .npy file whose header says what it likes."""
    header = f"{{'descr': '{dtype}', 'fortran_order': {order}, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + content


def saved(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


WHOLE = saved(image=IMAGES)
BAD = {
    "empty": (b"", "is empty: write arrays with np.savez"),
    "text": (b"hello world", "is neither a .npz nor a .npy file"),
    "cut": (WHOLE[:-30], "cannot be read as a file of arrays"),
    "start": (WHOLE[:100], "cannot be read as a file of arrays"),
    "flipped": (WHOLE[:300] + bytes([WHOLE[300] ^ 1]) + WHOLE[301:], "cannot be read as a file of arrays .*CRC"),
    "no_members": (archive(), "has no images: .* has no arrays at all"),
    "other_members": (saved(pictures=IMAGES), "has no images: it must have an entry image or .* and has pictures"),
    "not_an_array": (archive(image=b"hello"), "cannot be read as a file of arrays"),
    "cut_array": (archive(image=npy((6, 8, 8, 3), content=b"1" * 100)), "declares 1,152 bytes of numbers but has 100"),
    "huge": (archive(image=npy((60_000, 1_000, 1_000, 3))), "would take 171,662 MB of memory, .* JAXGEN_MAX_MEGABYTES"),
    "endless": (archive(image=npy((10**30, 1, 1, 1))), "would take .* of memory"),
    "negative": (archive(image=npy((-6, 8, 8, 3))), "declares the shape"),
    "code": (archive(image=npy("__import__('os').abort()")), "cannot be read as a file of arrays"),
    "cut_npy": (npy((6, 8, 8, 3), content=b"1" * 1151), "declares 1,152 bytes of numbers but has 1,151"),
    "huge_npy": (npy((60_000, 1_000, 1_000, 3)), "would take 171,662 MB"),
    "version": (b"\x93NUMPY\x09\x00" + bytes(100), "is no plain array of numbers"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_damaged_or_hostile_file_is_one_sentence(tmp_path, kind):
    content, message = BAD[kind]
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        read_npz(tmp_path / "x.npz")
    assert "\n" not in str(caught.value)


def test_encrypted_members_and_folders_are_said(tmp_path):
    content = bytearray(WHOLE)
    for header, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(header) + flags] |= 1
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(UserError, match="is encrypted"):
        read_npz(tmp_path / "x.npz")
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(UserError, match="is a folder: name a file"):
        load(str(tmp_path / "folder.npz"))
    with pytest.raises(UserError, match="There is no file"):
        of_path(tmp_path / "none.npy")


def test_a_file_that_inflates_is_held_against_the_limit_but_one_as_large_on_disk_is_not(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXGEN_MAX_MEGABYTES", "1")
    images = np.zeros((2, 1024, 1024, 3), np.uint8)
    np.savez_compressed(tmp_path / "bomb.npz", image=images)
    with pytest.raises(UserError, match="would take 6 MB of memory, and the limit is 1 MB"):
        read_npz(tmp_path / "bomb.npz")
    np.savez(tmp_path / "plain.npz", image=images)
    assert read_npz(tmp_path / "plain.npz").images.shape == images.shape


@QUICK_AND_SLOW
def test_any_changed_bytes_are_images_or_one_sentence(tmp_path, examples):
    files = [
        saved(image=IMAGES[:1], label=np.zeros(1, int)),
        npy((1, 2, 2, 3), content=bytes(12)),
        npy((2, 2, 2), "<f4", bytes(32)),
    ]
    file = io.BytesIO()
    np.savez_compressed(file, samples=IMAGES[:1] / 255)
    files.append(file.getvalue())
    changes = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=6)

    @for_all(examples, content=st.sampled_from(files), changes=changes, end=st.floats(0, 1), keep=st.booleans())
    def check(content, changes, end, keep):
        changed = bytearray(content)
        for place, value in changes:
            changed[int(place * len(changed))] = value
        (tmp_path / "x.npz").write_bytes(changed if keep else changed[: int(end * len(changed))])
        try:
            data = load(str(tmp_path / "x.npz"))
        except UserError:
            return
        assert data.train["image"].dtype == np.uint8
        assert data.train["image"].ndim == 4
