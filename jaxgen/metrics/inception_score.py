"""The classifier score of samples; the Inception score where the classifier is Inception-v3."""

from typing import NamedTuple

import numpy as np

from jaxgen.core.errors import UserError
from jaxgen.metrics.feature_arrays import check_logits


class ClassifierScore(NamedTuple):
    """Between 1 (all samples look alike to the classifier) and K (it is sure, and all classes are as frequent)."""

    mean: float
    """Over the splits."""
    standard_deviation: float
    """Over the splits."""


def classifier_score(logits: np.ndarray, *, num_splits: int = 10) -> ClassifierScore:
    """exp(E_x KL(p(y|x) || p(y))) with p(y|x) = softmax(logits), Salimans et al. 2016, https://arxiv.org/abs/1606.03498.

    p(y) is the mean over the samples of a split. Small splits lower the score: compare scores of as many samples only.

    Args:
      logits: [N, K], in the order in which the samples were drawn: each split is a row of neighbors.

    Raises:
      UserError: logits of another shape or not finite, no splits, or fewer samples than splits.
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
        # E KL = H(y) - H(y|x): a class that no sample could be adds nothing
        scores.append(np.exp((probabilities * split).sum(-1).mean() - (classes * np.log(classes)).sum()))
    return ClassifierScore(float(np.mean(scores)), float(np.std(scores)))
