"""Streams are a pure function of (seed, step)."""

import itertools

import numpy as np
import pytest

from jaxgen.core.errors import UserError
from jaxgen.data.stream import stream_batches


class Numbers:
    """Examples that are their own number; `broken` cannot be read."""

    def __init__(self, length, broken=None):
        self.length, self.broken = length, broken

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        if index == self.broken:
            raise OSError("truncated file")
        return {"image": np.full((2, 2, 1), index, np.uint8), "number": np.int32(index)}


def numbers(count, *, length=50, **options):
    """[count, B]: the numbers of the first batches."""
    batches = stream_batches(Numbers(length), **{"batch_size": 8, "seed": 1, **options})
    return np.array([batch["number"] for batch in itertools.islice(batches, count)])


def test_a_stream_is_the_same_each_time():
    np.testing.assert_array_equal(numbers(20), numbers(20))


def test_a_stream_does_not_depend_on_threads():
    np.testing.assert_array_equal(numbers(20), numbers(20, threads=0))


def test_a_stream_started_later_is_the_rest_of_the_stream():
    np.testing.assert_array_equal(numbers(20)[13:], numbers(7, start_step=13))


def test_each_example_occurs_once_an_epoch():
    for epoch in numbers(50).reshape(-1, 50):  # 8 batches of 50 examples: batches straddle epochs
        np.testing.assert_array_equal(np.sort(epoch), np.arange(50))


def test_epochs_and_seeds_have_orders_of_their_own():
    one, two = numbers(50).reshape(-1, 50)[:2]
    assert (one == two).sum() < 10
    assert (one == numbers(7, seed=2).ravel()[:50]).sum() < 10


@pytest.mark.parametrize("count", [2, 4])
def test_processes_hold_the_rows_of_one_process(count):
    parts = [numbers(15, start_step=3, process_index=i, process_count=count) for i in range(count)]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), numbers(15, start_step=3))


def test_a_batch_may_be_larger_than_the_set():
    batch = numbers(1, length=3, batch_size=8)[0]
    np.testing.assert_array_equal(np.sort(batch[:3]), [0, 1, 2])


def test_batches_are_stacked_as_stored():
    batch = next(stream_batches(Numbers(20), batch_size=4, seed=0))
    assert batch["image"].shape == (4, 2, 2, 1)
    assert batch["image"].dtype == np.uint8
    assert batch["number"].dtype == np.int32
    np.testing.assert_array_equal(batch["image"][:, 0, 0, 0], batch["number"])


@pytest.mark.parametrize("threads", [0, 16])
def test_an_example_that_cannot_be_read_is_an_error_of_the_consumer(threads):
    batches = stream_batches(Numbers(50, broken=7), batch_size=8, seed=1, threads=threads)
    with pytest.raises(UserError, match="cannot be read: OSError: truncated file"):
        list(itertools.islice(batches, 20))


def test_a_batch_that_processes_cannot_share_is_refused():
    with pytest.raises(UserError, match="batch size 8 must be a multiple of the 3 processes"):
        stream_batches(Numbers(50), batch_size=8, seed=1, process_count=3)


def test_an_empty_set_is_refused():
    with pytest.raises(UserError, match="is empty"):
        stream_batches(Numbers(0), batch_size=8, seed=1)
