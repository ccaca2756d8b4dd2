"""Accuracies of a discriminator, which show whether it recognizes real images or remembers its training images."""

from typing import NamedTuple

import numpy as np

from jaxgen.core.errors import UserError
from jaxgen.metrics.feature_arrays import real_array


class DiscriminatorAccuracy(NamedTuple):
    """Accuracies between 0 and 1 of a discriminator on three sets of images."""

    training: float
    """Share of the real training images judged real."""
    held_out: float
    """Share of the real held-out images judged real."""
    generated: float
    """Share of the generated images judged generated."""
    gap: float
    """training - held_out: 0 if it learned to recognize real images, up to 1 if it remembers its training images."""


def discriminator_accuracy(
    train_logits: np.ndarray, held_out_logits: np.ndarray, generated_logits: np.ndarray
) -> DiscriminatorAccuracy:
    """Judge a discriminator by its logits [N], [M] and [L], positive for real; a logit of 0 counts as half right.

    Brock et al. 2019 (https://arxiv.org/abs/1809.11096, section 4.2) compare training and held-out images in this way;
    Karras et al. 2020 (https://arxiv.org/abs/2006.06676, eq. 1) detect overfitting by r_t = E[sign(D(x))] of training
    images, which is 2 * training - 1. For losses in which only differences of logits count (Wasserstein, relativistic),
    the logit 0 has no meaning, and neither do these accuracies.

    Raises:
      UserError: logits are not [N], are empty, or are not all finite real numbers.
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
