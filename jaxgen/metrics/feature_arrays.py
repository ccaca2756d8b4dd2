"""Checks that all functions over plain arrays of features share."""

import numpy as np

from jaxgen.errors import UserError


def check_features(**named: np.ndarray) -> list[np.ndarray]:
    """Arrays of features [N, F], by the name that messages call them -> the same as float32, in the order given.

    Raises:
      UserError: an array of another rank, without samples, with values that are not finite, or unequal F.
    """
    arrays = [np.asarray(features, np.float32) for features in named.values()]
    for name, features in zip(named, arrays, strict=True):
        if features.ndim != 2 or features.size == 0:
            raise UserError(
                f"The {name} features have shape {list(features.shape)}: give [N, F], one row of F numbers a sample."
            )
        if not np.isfinite(features).all():
            raise UserError(
                f"The {name} features hold values that are not finite: look for broken samples, and leave them out."
            )
    widths = {features.shape[1] for features in arrays}
    if len(widths) > 1:
        counts = " and ".join(f"{features.shape[1]} ({name})" for name, features in zip(named, arrays, strict=True))
        raise UserError(f"The samples have different numbers of features, {counts}: use one extractor for all.")
    return arrays
