"""What a discriminator's logits say of its state."""

import numpy as np
import pytest

from jaxgen.core.errors import UserError
from jaxgen.metrics.adversarial import discriminator_accuracy


def test_shares_are_those_of_logits_on_the_right_side():
    accuracy = discriminator_accuracy(
        np.array([3.0, 1.0, 0.1, -2.0]), np.array([1.0, -1.0]), np.array([-1.0, -5.0, 2.0])
    )
    assert accuracy == pytest.approx((3 / 4, 1 / 2, 2 / 3, 1 / 4))


def test_one_that_remembers_its_training_images_has_the_full_gap():
    assert discriminator_accuracy(np.ones(5), -np.ones(5), -np.ones(5)).gap == 1.0


def test_one_that_cannot_decide_is_right_half_the_time():
    assert discriminator_accuracy(np.zeros(5), np.zeros(3), np.zeros(4)) == (0.5, 0.5, 0.5, 0.0)


@pytest.mark.parametrize("logits", [np.zeros(0), np.array([1.0, np.nan])])
def test_missing_or_broken_logits_are_refused(logits):
    with pytest.raises(UserError, match="held-out images are missing or not finite"):
        discriminator_accuracy(np.ones(3), logits, np.ones(3))
