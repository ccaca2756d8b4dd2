"""Class shares against SciPy's softmax and entropy."""

import numpy as np
import pytest
import scipy.special
import scipy.stats

from jaxgen.metrics.label_scores import class_shares, label_agreement


def test_shares_agree_with_scipy():
    logits = np.random.default_rng(0).normal(size=(500, 10)) * 4
    shares = class_shares(logits, threshold=0.9)
    probabilities = scipy.special.softmax(logits, axis=-1)
    assert shares.confident == pytest.approx(np.mean(probabilities.max(-1) > 0.9))
    assert shares.mean_confidence == pytest.approx(probabilities.max(-1).mean())
    np.testing.assert_allclose(shares.classes, np.bincount(logits.argmax(-1), minlength=10) / 500)
    assert shares.entropy == pytest.approx(scipy.stats.entropy(shares.classes))


def test_a_class_that_never_comes_has_share_zero():
    shares = class_shares(np.array([[9.0, 0.0, 0.0], [0.0, 9.0, 0.0]]))
    np.testing.assert_allclose(shares.classes, [0.5, 0.5, 0.0])
    assert shares.entropy == pytest.approx(np.log(2))


def test_very_large_logits_do_not_overflow():
    shares = class_shares(np.array([[1e5, 0.0], [0.0, -1e5]]))
    assert shares.confident == 1.0
    assert shares.mean_confidence == 1.0


def test_labels_are_compared_with_what_is_seen():
    logits = np.eye(3)[[0, 0, 1, 2, 2, 2]]
    found = label_agreement(logits, np.array([0, 1, 1, 0, 0, 3]))
    assert found.agreement == pytest.approx(2 / 6)
    assert found.purity == pytest.approx((2 + 1 + 1) / 6)  # 0 stands for 2, 1 for 0 or 1, 3 for 2; there is no 2
