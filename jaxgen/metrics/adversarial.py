"""What a discriminator's logits say of its state: does it still learn what is real, or which images it was shown?"""

from typing import NamedTuple

import numpy as np

from jaxgen.core.errors import UserError
from jaxgen.metrics.feature_arrays import real_array


class DiscriminatorAccuracy(NamedTuple):
    """Shares between 0 and 1 that the discriminator takes for what they are."""

    training: float
    """Of real images it was trained on, as real."""
    held_out: float
    """Of real images it never saw, as real."""
    generated: float
    """Of generated images, as generated."""
    gap: float
    """training - held_out: 0 for one that learned what is real, up to 1 for one that remembers its training images."""


def discriminator_accuracy(
    train_logits: np.ndarray, held_out_logits: np.ndarray, generated_logits: np.ndarray
) -> DiscriminatorAccuracy:
    """Judges a discriminator by its logits [N], [M] and [L], positive for real; a logit of 0 counts as half right.

    Brock et al. 2019 (https://arxiv.org/abs/1809.11096, section 4.2) compare training and held-out images in this way;
    Karras et al. 2020 (https://arxiv.org/abs/2006.06676, eq. 1) watch for overfitting with r_t = E[sign(D(x))] of
    training images, which is 2 * training - 1. For losses in which only differences of logits count (Wasserstein,
    relativistic), 0 means nothing, and neither do these shares.

    Raises:
      UserError: logits that are not [N], none, or some that are not finite real numbers.
    """
    given = {"training": train_logits, "held-out": held_out_logits, "generated": generated_logits}
    named = {name: real_array(f"logits of the {name} images", logits) for name, logits in given.items()}
    for name, logits in named.items():
        if logits.size == 0 or not np.isfinite(logits).all():
            raise UserError(
                f"The logits of the {name} images are missing or not finite: give at least one, all finite."
            )
        if logits.ndim != 1:
            raise UserError(f"The logits of the {name} images have shape {list(logits.shape)}: give one an image, [N].")
    training, held_out, generated = (float(np.mean(np.sign(logits))) for logits in named.values())
    training, held_out, generated = (1 + training) / 2, (1 + held_out) / 2, (1 - generated) / 2
    return DiscriminatorAccuracy(training, held_out, generated, gap=training - held_out)
