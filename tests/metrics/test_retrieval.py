"""Retrieval among captions, against a count by hand and random guesses."""

import numpy as np
import pytest

from jaxgen.metrics.retrieval import caption_ranks, retrieval_scores


def unit(rng, count, size=6):
    vectors = rng.normal(size=(count, size))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_among_all_captions_ranks_are_those_of_a_sort():
    rng = np.random.default_rng(0)
    images, captions, own = unit(rng, 30), unit(rng, 20), rng.integers(0, 20, 30)
    ranks = caption_ranks(images, captions, own)
    for image, number, rank in zip(images, own, ranks, strict=True):
        order = np.argsort(-(captions @ image))
        assert order[rank] == number
    found = retrieval_scores(ranks)
    assert found.top1 == np.mean(ranks == 0)
    assert found.top5 == np.mean(ranks < 5)


def test_by_chance_one_of_a_hundred_is_right_and_fewer_offered_make_it_easier():
    rng = np.random.default_rng(1)
    images, captions, own = unit(rng, 4000), unit(rng, 300), rng.integers(0, 300, 4000)
    assert retrieval_scores(caption_ranks(images, captions, own)).top1 == pytest.approx(0.01, abs=0.006)
    assert retrieval_scores(caption_ranks(images, captions, own, among=5)).top1 == pytest.approx(0.2, abs=0.03)


def test_an_encoder_that_gives_everything_one_vector_finds_nothing():
    same = np.ones((50, 3)) / np.sqrt(3)
    assert retrieval_scores(caption_ranks(same, same, np.arange(50))).top5 == 0.0


def test_what_is_offered_follows_the_seed():
    rng = np.random.default_rng(2)
    arguments = unit(rng, 50), unit(rng, 200), rng.integers(0, 200, 50)
    first, again, other = (caption_ranks(*arguments, among=10, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
