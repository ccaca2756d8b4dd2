"""Images and labels in .npz files."""

import numpy as np
import pytest

from jaxgen import UserError
from jaxgen.data import load, scale_images
from jaxgen.data.npz_file import read_npz

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), np.uint8)


@pytest.mark.parametrize("name", ["image", "images", "samples", "arr_0"])
def test_the_images_are_found_under_any_of_their_names(tmp_path, name):
    np.savez(tmp_path / "x.npz", **{name: IMAGES})
    np.testing.assert_array_equal(read_npz(tmp_path / "x.npz")["image"], IMAGES)


def test_floats_from_minus_1_to_1_become_the_bytes_they_came_from(tmp_path):
    np.savez(tmp_path / "x.npz", image=np.asarray(scale_images({"image": IMAGES})["image"]))
    np.testing.assert_array_equal(read_npz(tmp_path / "x.npz")["image"], IMAGES)


def test_grey_images_may_lack_their_channel(tmp_path):
    np.savez(tmp_path / "x.npz", image=IMAGES[..., 0])
    assert read_npz(tmp_path / "x.npz")["image"].shape == (6, 8, 8, 1)


def test_a_file_with_labels_is_a_data_set(tmp_path):
    np.savez(tmp_path / "digits.npz", image=IMAGES, label=np.array([0, 1, 2, 0, 1, 2]))
    data = load(str(tmp_path / "digits.npz"))
    assert (data.name, data.test, data.assets) == ("digits", None, {"class_names": ["0", "1", "2"]})
    assert data.train["label"].dtype == np.int32


@pytest.mark.parametrize("labels", [np.zeros(5, int), np.zeros(6), np.full(6, -1), np.zeros((6, 1), int)])
def test_labels_that_do_not_fit_are_refused(tmp_path, labels):
    np.savez(tmp_path / "x.npz", image=IMAGES, label=labels)
    with pytest.raises(UserError, match=r"one label .* for each of its 6 images"):
        read_npz(tmp_path / "x.npz")


def test_an_array_of_objects_is_not_unpickled(tmp_path):
    np.savez(tmp_path / "x.npz", image=np.array([{}, {}], object))
    with pytest.raises(UserError, match="cannot be read as a"):
        read_npz(tmp_path / "x.npz")
