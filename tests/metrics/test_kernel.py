"""The kernel distance against torch-fidelity and by hand."""

import json
from pathlib import Path

import numpy as np
import pytest
from references import make_sample_metrics

from jaxgen.core.errors import UserError
from jaxgen.metrics.kernel import kernel_distance, squared_mmd

REFERENCE = json.loads(Path(make_sample_metrics.__file__).with_name("sample_metrics.json").read_text("utf-8"))
CASES = make_sample_metrics.feature_cases()


@pytest.mark.parametrize(("name", "tolerance"), [("alike", {"abs": 1e-6}), ("narrow", {"rel": 1e-5})])
def test_squared_mmd_equals_that_of_torch_fidelity(name, tolerance):
    real, generated = CASES[name]
    assert squared_mmd(real[:600], generated) == pytest.approx(REFERENCE[name]["squared_mmd"], **tolerance)


@pytest.mark.parametrize(("name", "tolerance"), [("alike", {"abs": 1e-6}), ("narrow", {"rel": 1e-5})])
def test_distance_over_equal_subsets_equals_that_of_torch_fidelity(name, tolerance):
    m = make_sample_metrics
    options = {"num_subsets": m.KID_SUBSETS, "subset_size": m.KID_SUBSET_SIZE, "seed": m.KID_SEED}
    distance = kernel_distance(*CASES[name], **options)
    kid = REFERENCE[name]["kid"]
    assert distance.value == pytest.approx(kid["kernel_inception_distance_mean"], **tolerance)
    # its deviation is that of the subsets, with N; ours is of their mean, with N - 1
    expected = kid["kernel_inception_distance_std"] / np.sqrt(m.KID_SUBSETS - 1)
    assert distance.standard_error == pytest.approx(expected, **tolerance)


def test_two_samples_give_what_one_computes_by_hand():
    # k(0, 1) + k(1, 2) - 2 mean(k(0, 1), k(0, 2), k(1, 1), k(1, 2)) with k(x, y) = (xy + 1)^3
    expected = 1 + 27 - 2 * (1 + 1 + 8 + 27) / 4
    assert squared_mmd(np.array([[0.0], [1.0]]), np.array([[1.0], [2.0]])) == pytest.approx(expected, rel=1e-6)


def test_a_small_distance_is_that_of_twice_the_digits():
    x, y = np.maximum(np.random.default_rng(0).normal(size=(2, 300, 64)), 0.0).astype(np.float32)
    a, b = x.astype(np.float64), y.astype(np.float64)
    within = sum(((z @ z.T / 64 + 1) ** 3 * (1 - np.eye(300))).sum() for z in (a, b)) / (300 * 299)
    assert squared_mmd(x, y) == pytest.approx(within - 2 * ((a @ b.T / 64 + 1) ** 3).mean(), rel=0, abs=2e-9)


def test_sets_of_one_distribution_have_no_distance_but_by_chance():
    random = np.random.default_rng(0)
    values = [squared_mmd(*random.normal(size=(2, 50, 8)).astype(np.float32)) for _ in range(200)]
    assert min(values) < 0
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(len(values))


def test_the_seed_alone_chooses_the_subsets():
    first, same, other = (kernel_distance(*CASES["narrow"], num_subsets=3, subset_size=50, seed=s) for s in (0, 0, 1))
    assert first == same
    assert first != other


def test_subsets_shrink_to_the_samples_that_are_there():
    real, generated = (features[:90] for features in CASES["narrow"])
    distance = kernel_distance(real, generated, num_subsets=2)
    assert distance.value == pytest.approx(squared_mmd(real, generated), rel=1e-5)
    assert distance.standard_error == pytest.approx(0.0, abs=1e-6)


def test_a_single_sample_is_refused():
    real, generated = CASES["alike"]
    with pytest.raises(UserError, match=r"at least 2 samples .* 700 real and 1 generated"):
        kernel_distance(real, generated[:1])
