"""Few examples of each class, and sets joined."""

import numpy as np
import pytest

from jaxgen import UserError
from jaxgen.data import Dataset, load
from jaxgen.data.subset import few_per_class, joined


def test_each_class_has_so_many_examples_and_the_seed_chooses_them():
    mnist = load("mnist")
    few, again, other = (few_per_class(mnist, 7, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(np.bincount(few.train["label"]), np.full(10, 7))
    np.testing.assert_array_equal(few.train["image"], again.train["image"])
    assert not np.array_equal(few.train["image"], other.train["image"])
    assert few.test is mnist.test
    both = {tuple(image.ravel()) for image in mnist.train["image"][mnist.train["label"] == 3]}
    assert all(tuple(image.ravel()) in both for image in few.train["image"][few.train["label"] == 3])


def test_smaller_sets_hold_no_other_examples_than_larger_ones():
    mnist = load("mnist")
    few, more = (few_per_class(mnist, count, seed=0).train["image"] for count in (3, 5))
    assert {image.tobytes() for image in few} < {image.tobytes() for image in more}


@pytest.mark.parametrize("count", [0, 6_000])
def test_more_examples_than_there_are_are_refused(count):
    with pytest.raises(UserError, match="1 to 5421 training examples"):
        few_per_class(load("mnist"), count, seed=0)


def split(number, value, size=4):
    return {"image": np.full((number, size, size, 1), value, np.uint8), "label": np.arange(number, dtype=np.int32)}


def test_joined_sets_are_half_and_half():
    both = joined(Dataset("real", split(3, 1), split(2, 9)), Dataset("more", split(6, 2)))
    assert np.mean(both.train["image"] == 1) == 0.5
    assert len(both.train["image"]) == len(both.train["label"]) == 12
    assert np.all(both.test["image"] == 9)


def test_what_cannot_be_joined_is_refused():
    real = Dataset("real", split(3, 1))
    with pytest.raises(UserError, match="more has no labels"):
        joined(real, Dataset("more", {"image": split(3, 1)["image"]}))
    with pytest.raises(UserError, match=r"\[5, 5, 1\], but real of \[4, 4, 1\]"):
        joined(real, Dataset("more", split(3, 1, size=5)))
