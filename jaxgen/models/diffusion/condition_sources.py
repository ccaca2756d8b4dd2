"""Sources of a diffusion model's conditions: classes and captions."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import numpy as np

from jaxgen.core.types import AnyArray, Batch
from jaxgen.models.conditional_samples import captions_in_turn, classes_in_turn


class ConditionSource(NamedTuple):
    """The source of conditions, in training and for samples."""

    kind: Literal["class", "caption"]
    entry: str
    """The batch's entry, [B, ...]."""
    none: int | tuple[int, ...]
    """The value that stands for no condition, of the shape [...] of a condition."""
    of_samples: Callable[[int], jax.Array]
    """num_samples -> the default conditions [N, ...] of samples."""
    in_training: Callable[[jax.Array, Batch], jax.Array] | None = None
    """(keys [B], batch) -> the conditions [B, ...] to train on in place of the entry; None: the entry."""


def class_condition(num_classes: int) -> ConditionSource:
    """Return the source of the batch's `label` in 0..K-1; K stands for no class. Samples are of every class in turn."""
    return ConditionSource("class", "label", num_classes, classes_in_turn(num_classes))


def caption_condition(
    prompts: AnyArray, in_training: Callable[[jax.Array, Batch], jax.Array] | None = None
) -> ConditionSource:
    """Return the source of the batch's `caption` int [B, T], padded with 0; an empty caption stands for no condition.

    Args:
      prompts: int [P, T], the captions of samples in turn.
      in_training: (keys [B], batch) -> the captions [B, T] to train on; None: the batch's `caption`.
    """
    length = np.shape(prompts)[1]
    return ConditionSource("caption", "caption", (0,) * length, captions_in_turn(prompts), in_training)
