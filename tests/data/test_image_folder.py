"""Any folder of pictures, good and bad."""

import numpy as np
import pytest
from PIL import Image

from jaxgen.core.errors import UserError
from jaxgen.data import length, load
from jaxgen.data.dataset import described
from jaxgen.data.identity import changes
from jaxgen.experiments._images import class_count


def draw(path, size=(8, 8), color=(255, 0, 0), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, color).save(path)


@pytest.fixture
def classes(tmp_path):
    for i in range(4):
        draw(tmp_path / "dogs" / f"{i}.png", color=(i, 0, 0))
        draw(tmp_path / "cats" / f"{i}.png", color=(100 + i, 0, 0))
    return tmp_path


def test_sub_folders_are_classes_in_sorted_order(classes):
    data = load(str(classes))
    assert data.assets == {"class_names": ["cats", "dogs"]}
    assert data.train["label"].tolist() == [0] * 4 + [1] * 4
    assert data.train["image"].shape == (8, 8, 8, 3)
    assert data.train["image"][:, 0, 0, 0].tolist() == [100, 101, 102, 103, 0, 1, 2, 3]
    assert data.test is None
    assert data.kind == "image"


def test_a_picture_outside_the_sub_folders_means_no_classes(classes):
    draw(classes / "stray.png")
    data = load(str(classes))
    assert set(data.train) == {"image"}
    assert data.assets == {"no_classes": "stray.png lies beside the folders cats, dogs"}
    assert "no classes, since stray.png lies beside the folders" in described(data)
    with pytest.raises(UserError, match=r"no classes, since stray\.png lies beside the folders"):
        class_count(data.assets)


def test_classes_are_the_first_folders_whatever_lies_in_them(classes):
    draw(classes / "cats" / "old" / "0.png", color=(99, 0, 0))
    data = load(str(classes))
    assert data.assets == {"class_names": ["cats", "dogs"]}
    assert data.train["label"].tolist() == [0] * 5 + [1] * 4
    assert described(data) == f"{classes.name}: 9 images (0 held out), 2 classes by sub-folder"


def test_pictures_at_any_depth_and_of_any_format_are_found(tmp_path):
    names = ["a.png", "b/c.JPG", "b/d/e.jpeg", "f.webp", "g.bmp", "h.gif"]
    for name in names:
        draw(tmp_path / name)
    (tmp_path / "notes.txt").write_text("not a picture")
    assert length(load(str(tmp_path)).train) == len(names)


def test_the_middle_is_cut_out_and_scaled(tmp_path):
    picture = Image.new("RGB", (40, 20), (0, 0, 255))
    picture.paste((255, 0, 0), (10, 0, 30, 20))
    picture.save(tmp_path / "a.png")
    for size in (10, 20, 40):
        image = load(str(tmp_path), image_size=size).train["image"][0]
        assert image.shape == (size, size, 3)
        assert (image[:, 2:-2] == [255, 0, 0]).all()  # the filter reaches a little over the cut


def test_transparent_parts_are_white_and_gray_is_one_channel(tmp_path):
    draw(tmp_path / "a.png", color=(0, 0, 0, 0), mode="RGBA")
    assert (load(str(tmp_path)).train["image"] == 255).all()
    assert load(str(tmp_path), channels=1).train["image"].shape == (1, 8, 8, 1)


def test_sixteen_bit_pictures_keep_their_shades(tmp_path):
    Image.fromarray(np.full((8, 8), 128 * 256, np.uint16)).save(tmp_path / "a.png")
    assert (load(str(tmp_path)).train["image"] == 128).all()


def test_the_orientation_that_a_camera_notes_is_applied(tmp_path):
    picture = Image.new("RGB", (8, 8), "white")
    picture.paste("black", (0, 0, 8, 4))  # the upper half
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    picture.save(tmp_path / "a.png", exif=exif)
    image = load(str(tmp_path)).train["image"][0]
    assert image[0, 0, 0] == 255
    assert image[7, 0, 0] == 0


def test_one_in_twenty_of_a_hundred_or_more_is_held_out_by_its_name_so_that_a_new_picture_moves_no_other(tmp_path):
    for i in range(100):
        draw(tmp_path / f"{i:03}.png", size=(2, 2), color=(i, 0, 0))
    before = load(str(tmp_path))
    assert 1 <= length(before.test) <= 15
    assert length(before.train) + length(before.test) == 100
    held_out = set(before.test["image"][:, 0, 0, 0].tolist())
    assert set(before.identity.test) == {f"{i:03}.png" for i in held_out}
    draw(tmp_path / "00.png", size=(2, 2), color=(255, 0, 0))  # the first by name
    after = load(str(tmp_path))
    assert set(after.test["image"][:, 0, 0, 0].tolist()) - {255} == held_out
    assert changes(before.identity, after.identity) == "1 added (00.png)"
    assert load(str(tmp_path), test_fraction=0.0).test is None


def test_what_does_not_fit_is_decoded_on_access(classes):
    resident, streamed = load(str(classes)), load(str(classes), resident_megabytes=0.0)
    assert not isinstance(streamed.train, dict)
    assert len(streamed.train) == 8
    for i in range(8):
        example = streamed.train[i]
        np.testing.assert_array_equal(example["image"], resident.train["image"][i])
        assert example["label"] == resident.train["label"][i]


def test_a_broken_picture_is_named(classes):
    (classes / "cats" / "1.png").write_bytes((classes / "cats" / "0.png").read_bytes()[:40])
    with pytest.raises(UserError, match=r"cats/1.png cannot be read"):
        load(str(classes), image_size=8)
    with pytest.raises(UserError, match=r"cats/1.png cannot be read"):
        load(str(classes), image_size=8, resident_megabytes=0.0).train[1]


def test_something_else_with_the_name_of_a_picture_is_named(tmp_path):
    (tmp_path / "a.png").write_text("hello")
    with pytest.raises(UserError, match=r"a.png cannot be read"):
        load(str(tmp_path))


def test_an_empty_folder_says_what_was_looked_for(tmp_path):
    with pytest.raises(UserError, match=r"has no images: files ending in .png, .*, .jpg"):
        load(str(tmp_path))


def test_a_missing_folder_is_named():
    with pytest.raises(UserError, match=r"no folder /no/such/folder"):
        load("/no/such/folder")


@pytest.mark.parametrize("size", [(8, 9), (9, 9)])
def test_unlike_sizes_need_an_image_size(classes, size):
    draw(classes / "dogs" / "0.png", size=size)
    with pytest.raises(UserError, match="give --image-size"):
        load(str(classes))


def test_a_senseless_fraction_is_refused(classes):
    with pytest.raises(UserError, match=r"between 0 and 0\.5"):
        load(str(classes), test_fraction=2.0)
