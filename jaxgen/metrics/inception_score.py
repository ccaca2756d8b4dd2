"""The classifier score of samples; with Inception-v3 as the classifier it is the Inception score."""

from typing import NamedTuple

import numpy as np

from jaxgen.core.errors import UserError
from jaxgen.metrics.feature_arrays import check_logits


class ClassifierScore(NamedTuple):
    """A score from 1 (all samples look alike to the classifier) to K (it is certain, and classes are
    equally frequent).
    """

    mean: float
    """Mean over the splits."""
    standard_deviation: float
    """Standard deviation over the splits."""


def classifier_score(logits: np.ndarray, *, num_splits: int = 10) -> ClassifierScore:
    """Return exp(E_x KL(p(y|x) || p(y))) with p(y|x) = softmax(logits) (Salimans et al. 2016, arXiv:1606.03498).

    p(y) is the mean over the samples of a split. Small splits lower the score, so compare only scores of equal numbers
    of samples.

    Args:
      logits: [N, K], in the order in which the samples were drawn; each split is a row of neighbors.

    Raises:
      UserError: the logits have another shape or are not finite, or there are no splits or fewer samples than splits.
    """
    logits = check_logits(logits)
    if num_splits < 1:
        raise UserError(f"A classifier score needs at least 1 split, not {num_splits}.")
    if len(logits) < num_splits:
        raise UserError(
            f"A classifier score over {num_splits} splits needs as many samples, but there are {len(logits)}: add some."
        )
    shifted = logits - logits.max(-1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))  # [N, K]
    scores = []
    for i in range(num_splits):
        split = log_probabilities[i * len(logits) // num_splits : (i + 1) * len(logits) // num_splits]
        probabilities = np.exp(split)
        classes = probabilities.mean(0)  # p(y)
        classes = classes[classes > 0]
        # E KL = H(y) - H(y|x): a class without probability adds nothing
        scores.append(np.exp((probabilities * split).sum(-1).mean() - (classes * np.log(classes)).sum()))
    return ClassifierScore(float(np.mean(scores)), float(np.std(scores)))
