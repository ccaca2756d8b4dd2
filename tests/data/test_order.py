"""The shuffled order of resident data."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.data.order import epoch_order

SEED = np.array([3, 1415926535], np.uint32)
order = jax.jit(epoch_order, static_argnums=2)


def epochs(length: int, count: int, seed=SEED) -> np.ndarray:
    """[count, length]: the first epochs."""
    return np.asarray(order(seed, np.arange(count * length, dtype=np.uint32), length)).reshape(count, length)


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 7, 16, 17, 155, 256, 257, 1000, 3822, 60_000, 65_537])
def test_each_example_occurs_once_an_epoch(length):
    for epoch in epochs(length, 3):
        np.testing.assert_array_equal(np.sort(epoch), np.arange(length))


def test_orders_differ_between_epochs_and_seeds():
    first, second = epochs(1000, 2)
    other_low, other_high = (epochs(1000, 1, SEED + np.array(change, np.uint32))[0] for change in ([0, 1], [1, 0]))
    for one, two in [(first, second), (first, other_low), (first, other_high), (other_low, other_high)]:
        assert (one == two).mean() < 0.01


@pytest.mark.parametrize("length", [2, 3, 5, 10, 24, 155])
def test_places_and_neighbors_are_uniform(length):
    from scipy import stats  # a second, that this file alone needs

    x = epochs(length, 20_000)
    place_of_first = np.bincount(np.argmax(x == 0, axis=1), minlength=length)
    assert stats.chisquare(place_of_first).pvalue > 1e-4
    neighbors = np.bincount(x[:, 0] * length + x[:, 1], minlength=length**2).reshape(length, length)
    assert stats.chisquare(neighbors[~np.eye(length, dtype=bool)]).pvalue > 1e-4
    next_epoch = np.bincount(x[:-1, 0] * length + x[1:, 0], minlength=length**2)
    assert stats.chisquare(next_epoch).pvalue > 1e-4


def test_a_large_order_is_not_correlated_with_the_identity():
    from scipy import stats

    x = epochs(60_000, 1)[0]
    assert abs(stats.spearmanr(x, np.arange(60_000)).statistic) < 0.02
    assert abs(stats.spearmanr(x[1:], x[:-1]).statistic) < 0.02


def test_all_orders_of_a_tiny_set_occur():
    assert len({tuple(epoch) for epoch in epochs(4, 2000)}) == 24


def test_positions_up_to_the_last_give_valid_examples():
    positions = np.arange(2**32 - 1000, 2**32, dtype=np.uint64).astype(np.uint32)
    x = np.asarray(order(SEED, positions, 60_000))
    assert x.min() >= 0
    assert x.max() < 60_000
    assert len(np.unique(x)) == 1000  # all in one epoch


def test_a_position_gives_the_same_example_in_any_batch_and_inside_a_scan():
    def body(step, _):
        return step + 1, epoch_order(SEED, step * 8 + jnp.arange(8, dtype=jnp.uint32), 155)

    _, scanned = jax.jit(lambda: jax.lax.scan(body, jnp.uint32(0), length=100))()
    np.testing.assert_array_equal(
        np.asarray(scanned).ravel(), np.asarray(order(SEED, np.arange(800, dtype=np.uint32), 155))
    )
    assert scanned.dtype == jnp.int32


@pytest.mark.parametrize("length", [0, -1, 2**31])
def test_an_impossible_length_is_refused(length):
    with pytest.raises(ValueError, match="length must be"):
        epoch_order(SEED, np.arange(3, dtype=np.uint32), length)


def test_the_largest_length_works():
    x = np.asarray(order(SEED, np.arange(100, dtype=np.uint32), 2**31 - 1))
    assert len(np.unique(x)) == 100
