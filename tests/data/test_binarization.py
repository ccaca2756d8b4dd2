"""Images binarized at random."""

import numpy as np
import pytest
from tiny import streamed, tiny_images

from jaxgen import UserError
from jaxgen.data import Dataset
from jaxgen.data.binarization import binarized


def gray_levels(count=2_000):
    """Every gray value, `count` times each."""
    images = np.broadcast_to(np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1), (count, 16, 16, 1)).copy()
    split = {"image": images, "label": np.zeros(count, np.int32)}
    return Dataset("grey", split, split)


def test_each_gray_value_is_its_own_probability_of_white():
    drawn = binarized(gray_levels(), seed=3, train=True)
    for split in (drawn.train, drawn.test):
        assert set(np.unique(split["image"])) == {0, 255}
        shares = (split["image"] == 255).mean(0).ravel()
        expected = np.arange(256) / 255
        errors = np.sqrt(expected * (1 - expected) / 2_000)
        assert shares[0] == 0
        assert shares[255] == 1
        assert np.abs(shares - expected)[1:255].max() < 4.5 * errors.max()
        assert abs(np.mean((shares - expected)[1:255] / errors[1:255])) < 4 / np.sqrt(
            254
        )  # none too many, none too few


def test_the_draw_follows_its_seed_and_differs_between_the_splits():
    first, again, other = (binarized(gray_levels(20), seed=seed, train=True) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.test["image"], again.test["image"])
    assert not np.array_equal(first.test["image"], other.test["image"])
    assert not np.array_equal(first.test["image"], first.train["image"])


def test_the_test_images_are_the_same_whether_or_not_the_training_images_are_drawn():
    data = tiny_images()
    fixed, resampled = (binarized(data, seed=0, train=train) for train in (True, False))
    np.testing.assert_array_equal(fixed.test["image"], resampled.test["image"])
    assert resampled.train is data.train
    assert fixed.train["label"] is data.train["label"]


def test_its_name_says_how_the_images_were_drawn():
    assert binarized(tiny_images(), seed=7, train=True).name == "tiny, binarised (seed 7)"
    assert binarized(tiny_images(), seed=7, train=False).name == "tiny, test images binarised (seed 7)"


def test_streamed_and_float_images_are_refused():
    data = tiny_images()
    scaled = Dataset("scaled", {"image": np.zeros((2, 4, 4, 1), np.float32)})
    for refused in (streamed(data), scaled):
        with pytest.raises(UserError, match="cannot be made binary"):
            binarized(refused, seed=0, train=True)
