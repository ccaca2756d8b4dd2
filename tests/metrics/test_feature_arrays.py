"""What every metric of plain arrays refuses, and the digits that it keeps."""

import functools

import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.core.errors import UserError
from jaxgen.metrics import (
    class_shares,
    classifier_score,
    density_coverage,
    discriminator_accuracy,
    frechet_distance,
    kernel_distance,
    linear_prediction_nats,
    nearest_distances,
    precision_recall,
    squared_mmd,
)
from jaxgen.metrics.feature_arrays import check_features
from jaxgen.metrics.label_scores import label_agreement
from jaxgen.metrics.moments import add_features, empty_moments
from jaxgen.metrics.neighbors import nearest_training
from jaxgen.metrics.retrieval import caption_ranks, retrieval_scores

GOOD = np.random.default_rng(0).normal(size=(12, 3))
BROKEN = {
    "complex": GOOD * 1j,
    "text": GOOD.astype(str),
    "one axis": GOOD[0],
    "three axes": GOOD[None],
    "a scalar": np.float64(1.0),
    "no rows": GOOD[:0],
    "no columns": GOOD[:, :0],
    "nan": np.where(np.arange(3) == 1, np.nan, GOOD),
    "inf": np.where(np.arange(3) == 1, np.inf, GOOD),
}
OF_FEATURES = {
    "frechet_distance": frechet_distance,
    "kernel_distance": kernel_distance,
    "squared_mmd": squared_mmd,
    "precision_recall": precision_recall,
    "density_coverage": density_coverage,
    "nearest_distances": lambda x, y: nearest_distances(x, y, 2),
    "nearest_training": lambda x, y: nearest_training(x, y, GOOD + 1.0),
    "caption_ranks": lambda x, y: caption_ranks(x, y, np.zeros(12, int)),
}
OF_LOGITS = {
    "class_shares": class_shares,
    "classifier_score": classifier_score,
    "label_agreement": lambda logits: label_agreement(logits, np.zeros(12, int)),
    "discriminator_accuracy": lambda logits: discriminator_accuracy(logits, GOOD[0], GOOD[0]),
    "add_features": lambda features: add_features(empty_moments(3), features),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_features_and_logits_are_refused_in_a_sentence(kind):
    for name, metric in OF_FEATURES.items():
        for arguments in ((BROKEN[kind], GOOD), (GOOD, BROKEN[kind])):
            with pytest.raises(UserError):
                print(name, metric(*arguments))
    for name, metric in OF_LOGITS.items():
        if (name, kind) != ("discriminator_accuracy", "one axis"):
            with pytest.raises(UserError):
                print(name, metric(BROKEN[kind]))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.int64, np.float16, np.float32, jnp.bfloat16])
def test_features_of_every_type_score_as_the_same_numbers_in_float64(dtype):
    real, generated = np.random.default_rng(1).integers(0, 8, (2, 40, 3))
    for metric in (frechet_distance, squared_mmd, precision_recall, density_coverage, nearest_training):
        arguments = (real, generated) if metric is not nearest_training else (real, generated, 9 - real)
        found, expected = (metric(*(x.astype(kind) for x in arguments)) for kind in (dtype, np.float64))
        found, expected = (np.hstack(x if isinstance(x, tuple) else [x]) for x in (found, expected))
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_features_keep_their_digits():
    narrow, wide = np.ones((2, 2), np.float32), np.ones((2, 2))
    assert [x.dtype for x in check_features(a=narrow, b=narrow)] == [np.float32] * 2
    assert [x.dtype for x in check_features(a=narrow, b=wide)] == [np.float64] * 2
    assert check_features(a=np.full((1, 1), 2**24 + 1))[0] == 2**24 + 1
    # a difference that float32 does not hold beside the mean
    shifted = 1e6 + 1e-3 * GOOD
    assert frechet_distance(shifted, shifted + 1e-3) == pytest.approx(3e-6, rel=1e-6)
    assert nearest_distances(shifted[:1], shifted[1:2], 1)[0] == pytest.approx(1e-3 * np.linalg.norm(GOOD[0] - GOOD[1]))


@pytest.mark.parametrize("mean", [0.0, 10.0, 300.0])
def test_squared_mmd_far_from_zero_is_its_definition(mean):
    x, y = (mean + np.random.default_rng(0).normal(size=(2, 200, 16))).astype(np.float32)
    a, b = x.astype(np.longdouble), y.astype(np.longdouble)
    within = sum(((z @ z.T / 16 + 1) ** 3 * (1 - np.eye(200))).sum() for z in (a, b)) / (200 * 199)
    expected = float(within - 2 * ((a @ b.T / 16 + 1) ** 3).mean())
    assert squared_mmd(x, y) == pytest.approx(expected, rel=1e-3, abs=1e-7)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: squared_mmd(GOOD, GOOD[:5]), "equally many samples, at least 2, not 12 and 5"),
        (lambda: squared_mmd(GOOD[:1], GOOD[:1]), "not 1 and 1"),
        (lambda: kernel_distance(GOOD, GOOD, num_subsets=1), "at least 2 subsets"),
        (lambda: kernel_distance(GOOD, GOOD, seed=-1), "seed"),
        (lambda: frechet_distance(GOOD, 1e60 * GOOD), "powers overflow"),
        (lambda: add_features(empty_moments(2), GOOD), "are 3 a sample, and those before 2"),
        (lambda: classifier_score(GOOD, num_splits=0), "at least 1 split"),
        (lambda: label_agreement(GOOD, np.arange(11)), "one integer a sample"),
        (lambda: label_agreement(GOOD, np.zeros(12)), "one integer a sample"),
        (lambda: label_agreement(GOOD, np.full(12, -1)), "must be at least 0"),
        (lambda: caption_ranks(GOOD, GOOD, np.full(12, 12)), "must be in 0..11"),
        (lambda: caption_ranks(GOOD, GOOD, np.arange(12), among=1), "at least 2 captions"),
        (lambda: retrieval_scores(np.zeros(0, int)), "one integer a sample"),
        (lambda: linear_prediction_nats(np.full((1, 9), 256)), "levels in 0..255, not 256 to 256"),
        (lambda: linear_prediction_nats(np.full((1, 9), 0.5)), "integers"),
        (lambda: linear_prediction_nats(np.zeros((1, 9), int), order=0), "order of at least 1"),
    ],
)
def test_what_means_nothing_is_refused(call, message):
    with pytest.raises(UserError, match=message):
        call()


def test_labels_take_no_memory_for_classes_that_are_not_there():
    labels = np.where(np.arange(12) < 6, 0, 2_000_000_000)
    assert label_agreement(np.eye(2)[np.arange(12) // 6], labels).purity == 1.0


def test_frechet_distance_is_that_of_scipys_root():
    scipy_linalg = pytest.importorskip("scipy.linalg")
    x, y = 5.0 + np.random.default_rng(2).normal(size=(2, 60, 4)) @ np.diag([1.0, 3.0, 0.1, 2.0])
    covariances = [np.cov(z, rowvar=False) for z in (x, y)]
    root = scipy_linalg.sqrtm(covariances[0] @ covariances[1]).real
    expected = np.sum((x.mean(0) - y.mean(0)) ** 2) + np.trace(sum(covariances) - 2 * root)
    for scale in (1e-8, 1.0, 1e8):
        assert frechet_distance(scale * x, scale * y) == pytest.approx(scale**2 * expected, rel=1e-8)
    assert functools.reduce(frechet_distance, (x, x)) == pytest.approx(0.0, abs=1e-12)
