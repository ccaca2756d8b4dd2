"""What a classifier's logits say: the score against torch-fidelity and closed forms, and how many modes are covered."""

import json
from pathlib import Path

import numpy as np
import pytest
from references import make_sample_metrics

from jaxgen.core.errors import UserError
from jaxgen.metrics.inception_score import classifier_score
from jaxgen.metrics.label_scores import class_shares

REFERENCE = json.loads(Path(make_sample_metrics.__file__).with_name("sample_metrics.json").read_text("utf-8"))


def test_score_equals_that_of_torch_fidelity():
    score = classifier_score(make_sample_metrics.logits_case(), num_splits=make_sample_metrics.SPLITS)
    assert score.mean == pytest.approx(REFERENCE["logits"]["inception_score_mean"], rel=1e-10)
    assert score.standard_deviation == pytest.approx(REFERENCE["logits"]["inception_score_std"], rel=1e-8)


def test_samples_that_all_look_alike_score_one():
    assert classifier_score(np.zeros((200, 5))).mean == pytest.approx(1.0)
    assert classifier_score(np.tile([900.0, 0.0, -900.0], (200, 1))).mean == pytest.approx(1.0)


def test_sure_and_balanced_classes_score_their_number():
    sure = 1e4 * np.tile(np.eye(5), (40, 1))
    assert classifier_score(sure) == pytest.approx((5.0, 0.0))


def test_a_class_that_never_comes_does_not_count():
    sure = 1e4 * np.tile(np.eye(5)[:3], (40, 1))
    assert classifier_score(sure, num_splits=2).mean == pytest.approx(3.0)


def test_splits_follow_the_order_of_the_samples():
    sorted_by_class = 1e4 * np.repeat(np.eye(5), 40, axis=0)
    assert classifier_score(sorted_by_class, num_splits=5).mean == pytest.approx(1.0)
    assert classifier_score(sorted_by_class, num_splits=1).mean == pytest.approx(5.0)


def test_fewer_samples_than_splits_are_refused():
    with pytest.raises(UserError, match="over 10 splits needs as many samples, but there are 9"):
        classifier_score(np.zeros((9, 3)))


def test_a_class_counts_as_a_mode_from_a_tenth_of_an_equal_share():
    classes = np.repeat(np.arange(4), [927, 48, 25, 0])  # of 1000 samples and 4 classes: from 25
    assert class_shares(np.eye(4)[classes]).modes == 3
    classes[-1] = 0
    assert class_shares(np.eye(4)[classes]).modes == 2
