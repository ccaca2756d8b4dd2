"""Nearest neighbors against brute force in float64, and the scores made of them against prdc and known answers."""

import json
from pathlib import Path

import numpy as np
import pytest
from references import make_sample_metrics

from jaxgen.core.errors import UserError
from jaxgen.metrics import distances
from jaxgen.metrics.distances import nearest_distances
from jaxgen.metrics.neighbors import density_coverage, nearest_training, precision_recall

REFERENCE = json.loads(Path(make_sample_metrics.__file__).with_name("sample_metrics.json").read_text("utf-8"))
CASES = make_sample_metrics.feature_cases()


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def brute_force(queries, references):
    """All distances [N, M] in float64."""
    return np.sqrt(((queries[:, None].astype(np.float64) - references[None]) ** 2).sum(-1))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("k", [1, 5])
def test_neighbors_are_those_of_brute_force(name, k):
    queries, references = CASES[name][0][:150], CASES[name][1][:300]
    found, indices = nearest_distances(queries, references, k)
    expected = brute_force(queries, references)
    np.testing.assert_array_equal(indices, np.argsort(expected, axis=1)[:, :k])
    np.testing.assert_allclose(found, np.sort(expected, axis=1)[:, :k], rtol=1e-6)


def test_a_sample_is_not_its_own_neighbor_but_its_copy_is():
    features = normal(0, 60, 4)
    features[7] = features[50]
    found, indices = nearest_distances(features, features, 2, exclude_self=True)
    expected = brute_force(features, features) + np.diag(np.full(60, np.inf))
    np.testing.assert_allclose(found, np.sort(expected, axis=1)[:, :2], rtol=1e-6)
    assert (indices[7, 0], indices[50, 0]) == (50, 7)
    assert found[7, 0] == 0.0


def test_near_neighbors_far_from_zero_keep_their_digits():
    centers = 1000.0 + normal(0, 50, 256)
    near = (centers + 1e-2 * normal(1, 50, 256)).astype(np.float32)
    found, indices = nearest_distances(near, centers, 1)
    np.testing.assert_array_equal(indices[:, 0], np.arange(50))
    exact = np.sqrt(((near.astype(np.float64) - centers) ** 2).sum(-1))
    np.testing.assert_allclose(found[:, 0], exact, rtol=1e-6)
    # which |x|^2 + |y|^2 - 2 x.y of the features as they are does not give
    in_float32 = (near**2).sum(-1) + (centers**2).sum(-1) - 2 * (near * centers).sum(-1)
    assert np.max(np.abs(np.sqrt(np.maximum(in_float32, 0)) / exact - 1)) > 0.1


def test_blocks_do_not_change_the_results(monkeypatch):
    real, generated = CASES["narrow"]
    whole = nearest_distances(generated, real, 3), precision_recall(real, generated), density_coverage(real, generated)
    monkeypatch.setattr(distances, "MAX_BLOCK", 190)  # the last of four has 30 of 600, 130 of 700 samples
    blocks = nearest_distances(generated, real, 3), precision_recall(real, generated), density_coverage(real, generated)
    np.testing.assert_allclose(blocks[0][0], whole[0][0], rtol=1e-6)
    np.testing.assert_array_equal(blocks[0][1], whole[0][1])
    assert blocks[1:] == whole[1:]


def test_blocks_shrink_with_the_number_of_references():
    for num_references in (10, 10**5, 10**9):
        rows = next(distances._blocks(600, num_references))
        assert (rows.start, rows.stop) == (0, max(1, min(512, 2**23 // num_references)))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("k", [3, 5])
def test_scores_equal_those_of_prdc(name, k):
    real, generated = CASES[name]
    expected = REFERENCE[name]["prdc"][str(k)]
    found = precision_recall(real, generated, k=k)._asdict() | density_coverage(real, generated, k=k)._asdict()
    assert found == pytest.approx(expected, abs=1e-9)


def test_small_balls_far_from_the_mean_are_told_apart():
    # In groups of 6, whose radius is less than a thousandth of their distance from the mean
    centers = 300.0 * normal(0, 100, 1, 16)
    real, generated = ((centers + normal(seed, 100, 6, 16)).reshape(600, 16) for seed in (1, 2))
    inside = brute_force(generated, real) < np.sort(brute_force(real, real), axis=1)[:, 2]
    recalled = brute_force(real, generated) < np.sort(brute_force(generated, generated), axis=1)[:, 2]
    assert precision_recall(real, generated, k=2) == pytest.approx((inside.any(1).mean(), recalled.any(1).mean()))
    assert density_coverage(real, generated, k=2) == pytest.approx((inside.sum(1).mean() / 2, inside.any(0).mean()))


def test_a_set_is_its_own_perfect_sample():
    real = CASES["alike"][0]
    assert precision_recall(real, real) == (1.0, 1.0)
    assert density_coverage(real, real) == (1.2, 1.0)  # of 5 neighbors the fifth lies on the border, which is inside
    assert density_coverage(real, real, convention="prdc") == (1.0, 1.0)


def by_definition(real, generated, k, within):
    """(precision, recall, density, coverage) of all distances in float64; `within` is `<=` or `<`."""

    def balls(points, centers):
        others = brute_force(centers, centers) + np.diag(np.full(len(centers), np.inf))
        return within(brute_force(points, centers), np.sort(others, axis=1)[:, k - 1])

    of_real, of_generated = balls(generated, real), balls(real, generated)
    return of_real.any(1).mean(), of_generated.any(1).mean(), of_real.sum() / len(generated) / k, of_real.any(0).mean()


@pytest.mark.parametrize(("convention", "within"), [("paper", np.less_equal), ("prdc", np.less)])
@pytest.mark.parametrize("kind", ["repeated", "grid", "float64", "collapsed", "alike", "near_copies"])
def test_both_conventions_are_their_definitions(kind, convention, within):
    rng = np.random.default_rng(3)
    real, generated = rng.normal(size=(2, 70, 6)).astype(np.float32)
    if kind == "repeated":  # of frames of a film: some among both
        real, generated = np.repeat(real[:20], 5, 0), rng.permutation(np.repeat(real[10:40], 4, 0))
    if kind == "grid":  # many distances are equal
        real, generated = rng.integers(0, 3, (2, 90, 3)).astype(np.float32)
    if kind == "float64":  # differences that float32 does not hold
        real, generated = 1e6 + 1e-3 * rng.integers(0, 5, (2, 60, 2)).astype(np.float64)
    if kind == "collapsed":
        generated = np.repeat(real[3:4], 80, 0)
    if kind == "near_copies":  # more than are looked at by differences at once, far from the mean
        real[:30] = 100.0 + 1e-4 * np.round(real[:30])
        generated[:40] = real[rng.integers(0, 30, 40)]
    for k in (1, 3, 5):
        found = (
            *precision_recall(real, generated, k=k, convention=convention),
            *density_coverage(real, generated, k=k, convention=convention),
        )
        assert found == pytest.approx(by_definition(real, generated, k, within), abs=1e-12), k


def test_a_set_of_repeated_pictures_is_its_own_perfect_sample():
    repeated = np.repeat(normal(0, 60, 32), 5, 0)
    assert precision_recall(repeated, repeated) == (1.0, 1.0)
    assert density_coverage(repeated, repeated).coverage == 1.0
    assert precision_recall(repeated, repeated, convention="prdc") == (0.0, 0.0)


@pytest.mark.parametrize("copies", [1, 3, 40])
def test_copies_are_at_a_distance_of_exactly_zero(copies):
    references = np.tile(1000.0 + normal(0, 30, 64), (copies, 1))
    found, indices = nearest_distances(references[:30], references, min(5, copies), exclude_self=False)
    assert np.all(found[:, : min(5, copies)] == 0.0)
    np.testing.assert_array_equal(indices, np.arange(30)[:, None] + 30 * np.arange(min(5, copies)))
    if copies > 1:
        others, indices = nearest_distances(references, references, 1, exclude_self=True)
        assert np.all(others == 0.0)
        assert np.all(indices[:, 0] != np.arange(len(references)))


@pytest.mark.parametrize("scale", [1e-30, 1e25])
def test_scores_do_not_depend_on_the_unit_of_the_features(scale):
    real, generated = CASES["alike"][0][:100], CASES["alike"][1][:100]
    assert precision_recall(real * np.float32(scale), generated * np.float32(scale)) == precision_recall(
        real, generated
    )
    found, _ = nearest_distances(generated * np.float32(scale), real * np.float32(scale), 1)
    np.testing.assert_allclose(found, scale * nearest_distances(generated, real, 1)[0], rtol=1e-5)


def test_another_convention_is_refused():
    with pytest.raises(UserError, match=r"no convention 'strict'.*paper or prdc"):
        precision_recall(*CASES["alike"], convention="strict")


def test_a_set_far_away_has_nothing_of_the_real_one():
    real = CASES["alike"][0]
    assert precision_recall(real, real + 100.0) == (0.0, 0.0)
    assert density_coverage(real, real + 100.0) == (0.0, 0.0)


def test_a_collapsed_generator_is_precise_but_recalls_nothing():
    real = CASES["alike"][0]
    collapsed = np.tile(real[5:6], (600, 1))
    assert precision_recall(real, collapsed, convention="prdc") == (1.0, 0.0)
    assert precision_recall(real, collapsed) == (1.0, pytest.approx(1 / 700))  # the one that it repeats
    assert density_coverage(real, collapsed).coverage < 0.1


@pytest.mark.parametrize("function", [precision_recall, density_coverage])
def test_progress_counts_every_sample_of_every_pass(function):
    calls = []
    function(*CASES["alike"], progress=lambda *call: calls.append(call))
    totals = {total for _, total in calls}
    assert len(totals) == 1
    assert [done for done, _ in calls] == sorted({done for done, _ in calls})
    assert calls[-1][0] == totals.pop()


def test_copies_of_training_samples_are_told_from_new_ones():
    train, held_out, new = normal(0, 600, 6), normal(1, 200, 6), normal(2, 200, 6)
    copies = train[np.arange(200) * 3]
    found = nearest_training(copies, train, held_out)
    np.testing.assert_array_equal(found.indices, np.arange(200) * 3)
    assert (found.ratio, found.closer) == (0.0, 1.0)
    near = nearest_training(copies + 0.1 * normal(3, 200, 6), train, held_out)
    assert near.ratio < 0.5
    assert near.closer > 0.9
    fresh = nearest_training(new, train, held_out)
    assert fresh.ratio == pytest.approx(1.0, abs=0.1)
    assert fresh.closer == pytest.approx(0.5, abs=0.1)


def test_memorization_is_what_its_definition_says():
    train, held_out, generated = normal(0, 40, 2), normal(1, 31, 2), 0.8 * normal(2, 23, 2)
    generated[:4] = held_out[:4]  # ties count as a half
    found = nearest_training(generated, train, held_out)
    own, other = brute_force(generated, train).min(1), brute_force(held_out, train).min(1)
    np.testing.assert_allclose(found.distances, own, rtol=1e-6)
    np.testing.assert_array_equal(found.indices, brute_force(generated, train).argmin(1))
    assert found.ratio == pytest.approx(np.median(own) / np.median(other), rel=1e-6)
    closer = (own[:, None] < other).mean() + (own[:, None] == other).mean() / 2
    assert found.closer == pytest.approx(closer, abs=1e-12)


def test_held_out_samples_that_were_trained_on_are_refused():
    train = normal(0, 40, 2)
    with pytest.raises(UserError, match="half of the held-out samples are also training samples"):
        nearest_training(normal(1, 10, 2), train, train[:10])


def test_too_few_samples_are_refused():
    real, generated = normal(0, 50, 2), normal(1, 3, 2)
    with pytest.raises(UserError, match="The 3 nearest neighbors of a sample cannot be found among 2 others"):
        precision_recall(real, generated)
    with pytest.raises(UserError, match="The 5 nearest neighbors of a sample cannot be found among 2 others"):
        density_coverage(generated, real)
    with pytest.raises(UserError, match="The 4 nearest neighbors"):
        nearest_distances(real, generated, 4)
