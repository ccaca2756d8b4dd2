"""Patches of photographs: which are held out, what is cut."""

import numpy as np
import pytest
from PIL import Image

from jaxgen.core.errors import UserError
from jaxgen.data import photos
from jaxgen.data.photos import load_patches, patches_of, photo_files


def test_patches_are_all_squares_at_their_places():
    image = np.arange(7 * 9 * 3).reshape(7, 9, 3)
    patches = patches_of(image, 4, 2)
    assert patches.shape == (2 * 3, 4, 4, 3)
    np.testing.assert_array_equal(patches[4], image[2:6, 2:6])
    assert len(patches_of(image, 8, 2)) == 0


def test_the_photographs_of_scikit_image_are_all_there_and_those_held_out_are_of_other_scenes():
    _, train, test, *_ = photo_files("photos", 0.2)
    assert all(path.is_file() for path in (*train, *test))
    assert not {path.stem.split("_")[0] for path in train} & {path.stem.split("_")[0] for path in test}
    data = load_patches("photos", size=128)
    assert data.train["image"].shape[1:] == (128, 128, 3)
    sizes = [Image.open(path).size for path in test]
    assert len(data.test["image"]) == sum((width // 128) * (height // 128) for width, height in sizes)


def test_pictures_of_a_folder_are_held_out_whole(tmp_path):
    for i in range(5):
        Image.new("RGB", (20 + i, 10), (10 * i, 0, 0)).save(tmp_path / f"{i}.png")
    data = load_patches(str(tmp_path), size=8, test_fraction=0.2)
    parts = [set(np.unique(split["image"][..., 0]).tolist()) for split in (data.train, data.test)]
    assert parts == [{10 * int(name[0]) for name in names} for names in (data.identity.train, data.identity.test)]
    assert parts[0] | parts[1] == {0, 10, 20, 30, 40}
    assert all(parts)


def test_without_scikit_image_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setattr(photos, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'jaxgen\[photos\]'"):
        load_patches("photos", size=8)
