"""Scores of samples from a classifier: its confidence, the distribution of classes, and agreement with labels."""

from typing import NamedTuple

import numpy as np

from jaxgen.metrics.feature_arrays import check_logits, check_numbers


class ClassShares(NamedTuple):
    """Shares between 0 and 1 over N samples."""

    confident: float
    """Share of samples whose most likely class has a probability above the threshold."""
    mean_confidence: float
    """Mean probability of the most likely class."""
    classes: np.ndarray
    """[K], share of the samples whose most likely class is k."""
    entropy: float
    """Entropy of `classes`, in nats; log K if all classes are equally frequent."""
    modes: int
    """Number of classes covered: those with at least a tenth of an equal share, 0.1 / K of the samples."""


def class_shares(logits: np.ndarray, *, threshold: float = 0.9) -> ClassShares:
    """Judge samples by a classifier's logits [N, K]; confidence is max_k softmax(logits)_k.

    Raises:
      UserError: the logits have another shape, no samples, or values that are not finite.
    """
    logits = check_logits(logits)
    shifted = np.exp(logits - logits.max(-1, keepdims=True))
    confidence = 1.0 / shifted.sum(-1)  # the largest term is exp(0) = 1
    counts = np.bincount(logits.argmax(-1), minlength=logits.shape[-1])
    classes = counts / len(logits)
    present = classes[classes > 0]
    return ClassShares(
        confident=float(np.mean(confidence > threshold)),
        mean_confidence=float(confidence.mean()),
        classes=classes,
        entropy=float(np.sum(present * np.log(1.0 / present))),
        modes=int(np.sum(10 * logits.shape[-1] * counts >= len(logits))),
    )


class LabelAgreement(NamedTuple):
    """Agreement of the labels of samples with a classifier: shares between 0 and 1."""

    agreement: float
    """Share of samples for which the classifier predicts their label."""
    purity: float
    """Agreement if each label stood for the class predicted most often for it, as for labels that a model chose itself
    (an InfoGAN's codes)."""


def label_agreement(logits: np.ndarray, labels: np.ndarray) -> LabelAgreement:
    """Compare a classifier's logits [N, K] with labels [N], integers from 0.

    Raises:
      UserError: the logits have another shape or are not finite, or the labels are not one integer of at least 0 a
        sample.
    """
    logits = check_logits(logits)
    labels = check_numbers("labels", labels, count=len(logits))
    seen = logits.argmax(-1)
    present, rows = np.unique(labels, return_inverse=True)
    counts = np.zeros((len(present), logits.shape[-1]), np.int64)
    np.add.at(counts, (rows, seen), 1)
    return LabelAgreement(float(np.mean(seen == labels)), float(counts.max(-1).sum() / len(labels)))
