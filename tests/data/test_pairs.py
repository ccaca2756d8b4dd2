"""Two collections of images side by side."""

import numpy as np
import pytest
from PIL import Image

from jaxgen.core.errors import UserError
from jaxgen.data import load
from jaxgen.data.pairs import load_pairs, scale_both
from jaxgen.experiments import emoji_cycle_gan, emoji_pix2pix


def folder(path, values):
    path.mkdir()
    for i, value in enumerate(values):
        Image.new("RGB", (8, 8), (value, 0, 0)).save(path / f"{i:03d}.png")
    return path


def reds(images):
    return images[:, 0, 0, 0].tolist()


def test_emoji_of_both_styles_are_pairs():
    data, emoji = load_pairs("emoji", paired=True, seed=0), load("emoji")
    for split, whole in ((data.train, emoji.train), (data.test, emoji.test)):
        half = len(whole["image"]) // 2
        np.testing.assert_array_equal(split["source"], whole["image"][:half])
        np.testing.assert_array_equal(split["image"], whole["image"][half:])
        np.testing.assert_array_equal(whole["emoji"][:half], whole["emoji"][half:])
    back = load_pairs("emoji", paired=True, seed=0, reverse=True)
    np.testing.assert_array_equal(back.test["image"], data.test["source"])


def test_without_pairs_training_examples_are_mixed_by_the_seed_and_held_out_ones_are_not():
    paired, mixed, again, other = (
        load_pairs("emoji", paired=paired, seed=seed)
        for paired, seed in ((True, 0), (False, 0), (False, 0), (False, 1))
    )
    np.testing.assert_array_equal(mixed.train["image"], again.train["image"])
    assert (mixed.train["image"] != other.train["image"]).any()
    for side in ("source", "image"):
        np.testing.assert_array_equal(mixed.test[side], paired.test[side])
        np.testing.assert_array_equal(np.sort(mixed.train[side], 0), np.sort(paired.train[side], 0))
    assert (mixed.train["source"] != paired.train["source"]).any()


def test_collections_of_two_folders_may_be_of_different_sizes(tmp_path):
    first, second = folder(tmp_path / "a", range(60)), folder(tmp_path / "b", range(100, 140))
    data = load_pairs(str(first), target=second, paired=False, seed=0, image_size=8)
    sources, targets = (set(reds(data.train[side])) for side in ("source", "image"))
    assert len(data.train["source"]) == len(data.train["image"]) == len(sources)
    assert sources == {int(name[7:10]) for name in data.identity.train if name.startswith("source/")}
    assert targets == {100 + int(name[6:9]) for name in data.identity.train if name.startswith("image/")}
    held_out = [{name.split("/")[1] for name in data.identity.test if name.startswith(side)} for side in ("so", "im")]
    assert held_out[1] == {name for name in held_out[0] if int(name[:3]) < 40}  # of one name both, or none


def test_names_are_all_but_the_last_ending_and_pairs_go_by_them_alone(tmp_path):
    for side, ending in (("a", "jpg"), ("b", "png")):
        (tmp_path / side).mkdir()
        for n in range(6):
            for k, name in enumerate((f"{n}", f"{n}.left")):
                Image.new("RGB", (8, 8), (10 + 20 * (2 * n + k),) * 3).save(tmp_path / side / f"{name}.{ending}")
    data = load_pairs(str(tmp_path / "a"), target=tmp_path / "b", paired=True, seed=0, image_size=8)
    sources, targets = (
        np.concatenate([split[side][:, 4, 4, 0] for split in (data.train, data.test)]).astype(int)
        for side in ("source", "image")
    )
    assert len(sources) == 12
    assert np.abs(sources - targets).max() <= 3
    Image.new("RGB", (8, 8)).save(tmp_path / "a" / "3.left.webp")
    with pytest.raises(UserError, match=r"a has two pictures of one name, 3\.left\.jpg and 3\.left\.webp"):
        load_pairs(str(tmp_path / "a"), target=tmp_path / "b", paired=True, seed=0, image_size=8)


def test_pairs_of_two_folders_are_files_of_one_name(tmp_path):
    first, second = folder(tmp_path / "a", range(20)), folder(tmp_path / "b", range(100, 120))
    pairs = load_pairs(str(first), target=second, paired=True, seed=0, image_size=8)
    for split in (pairs.train, pairs.test):
        assert [value + 100 for value in reds(split["source"])] == reds(split["image"])
    (first / "005.png").rename(first / "005.gif")  # as good a name
    load_pairs(str(first), target=second, paired=True, seed=0, image_size=8)
    (second / "007.png").unlink()
    with pytest.raises(UserError, match=r"a has a picture 007 that .*b lacks \(1 in all\)"):
        load_pairs(str(first), target=second, paired=True, seed=0, image_size=8)
    (first / "007.png").rename(first / "007b.png")
    (second / "005.png").unlink()
    load_pairs(str(first), target=second, paired=False, seed=0, image_size=8)


def test_both_are_scaled():
    batch = scale_both({"image": np.array([0, 255], np.uint8), "source": np.array([255, 0], np.uint8)})
    np.testing.assert_allclose(batch["image"], [-1, 1])
    np.testing.assert_allclose(batch["source"], [1, -1])


def test_a_set_of_one_collection_is_refused():
    with pytest.raises(UserError, match="mnist has no two collections of images: name a set that has"):
        load_pairs("mnist", paired=True, seed=0)


@pytest.mark.parametrize("module", [emoji_pix2pix, emoji_cycle_gan])
def test_experiments_load_pairs_of_their_options(module):
    config = module.EXPERIMENT.presets["quick"].replace(reverse=True)
    data = module.EXPERIMENT.load_data(config)
    assert data.train["image"].shape[1:] == data.train["source"].shape[1:] == (32, 32, 3)
