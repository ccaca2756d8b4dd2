"""What the images of a diffusion model are drawn for: classes, captions."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import numpy as np

from jaxgen.core.types import AnyArray, Batch
from jaxgen.models.conditional_samples import captions_in_turn, classes_in_turn


class ConditionSource(NamedTuple):
    """Where conditions come from, in training and for samples."""

    kind: Literal["class", "caption"]
    entry: str
    """The batch's entry, [B, ...]."""
    none: int | tuple[int, ...]
    """What stands for no condition, of the shape [...] of one."""
    of_samples: Callable[[int], jax.Array]
    """num_samples -> the conditions [N, ...] of samples for which none are given."""
    in_training: Callable[[jax.Array, Batch], jax.Array] | None = None
    """(keys [B], batch) -> the conditions [B, ...] to train on in place of the entry; None: the entry."""


def class_condition(num_classes: int) -> ConditionSource:
    """Condition on the batch's `label` in 0..K-1; K stands for no class. Samples are of every class in turn."""
    return ConditionSource("class", "label", num_classes, classes_in_turn(num_classes))


def caption_condition(
    prompts: AnyArray, in_training: Callable[[jax.Array, Batch], jax.Array] | None = None
) -> ConditionSource:
    """Condition on the batch's `caption` int [B, T], padded with 0; an empty one stands for none.

    Args:
      prompts: int [P, T], of which samples are in turn.
      in_training: (keys [B], batch) -> the captions [B, T] to train on; None: the batch's `caption`.
    """
    length = np.shape(prompts)[1]
    return ConditionSource("caption", "caption", (0,) * length, captions_in_turn(prompts), in_training)
