"""Checks that all functions over plain arrays of features, logits and labels share.

Whatever an array holds, it is refused in one sentence (`UserError`) where a metric of it would mean nothing: complex
numbers, texts or objects, another rank, no samples, values that are not finite. What is left is computed in float64
where it is given as float64 or as integers of more than 16 bits, and else in float32.
"""

import numpy as np
from numpy.typing import ArrayLike

from jaxgen.core.errors import UserError

MOST = 1e50
"""The largest feature whose square, cubed, is still a number in float64."""
SAFE_IN_FLOAT32 = 1e-6, 1e6
"""Between these magnitudes a square, cubed, is still a normal number in float32."""


def real_array(name: str, values: ArrayLike) -> np.ndarray:
    """An array of real numbers, float32 or float64, as it was given.

    Raises:
      UserError: complex numbers, texts or objects.
    """
    array = np.asarray(values)
    if array.dtype.kind == "V":  # bfloat16 and its like are numbers of a type that NumPy does not know
        array = _from_extended(array)
    if array.dtype.kind not in "biuf":
        raise UserError(f"The {name} are of type {array.dtype}: give real numbers.")
    narrow = array.dtype.kind == "b" or array.dtype.itemsize <= (4 if array.dtype.kind == "f" else 2)
    return array.astype(np.float32 if narrow else np.float64, copy=False)


def _from_extended(array: np.ndarray) -> np.ndarray:
    try:
        return array.astype(np.float32)
    except (TypeError, ValueError):
        return array


def check_features(**named: ArrayLike) -> list[np.ndarray]:
    """Arrays of features [N, F], by the name that messages call them -> the same of one type, in the order given.

    They become float64 where any is float64, has integers of more than 16 bits, or holds numbers whose powers would
    leave the range of float32; else float32.

    Raises:
      UserError: an array of another rank, without samples, of complex or other values, with values that are not finite
        or above 1e50, or unequal F.
    """
    arrays = [real_array(f"{name} features", features) for name, features in named.items()]
    wide = False
    for name, features in zip(named, arrays, strict=True):
        if features.ndim != 2 or features.size == 0:
            raise UserError(
                f"The {name} features have shape {list(features.shape)}: give [N, F], one row of F numbers a sample."
            )
        if not np.isfinite(features).all():
            raise UserError(
                f"The {name} features hold values that are not finite: look for broken samples, and leave them out."
            )
        largest = max(abs(float(features.max())), abs(float(features.min())))
        if largest > MOST:
            raise UserError(f"The {name} features reach {largest:.3g}, whose powers overflow: scale all of them down.")
        small, large = SAFE_IN_FLOAT32
        wide = wide or features.dtype == np.float64 or largest > large or 0.0 < largest < small
    widths = {features.shape[1] for features in arrays}
    if len(widths) > 1:
        counts = " and ".join(f"{features.shape[1]} ({name})" for name, features in zip(named, arrays, strict=True))
        raise UserError(f"The samples have different numbers of features, {counts}: use one extractor for all.")
    return [features.astype(np.float64 if wide else np.float32, copy=False) for features in arrays]


def check_logits(logits: ArrayLike, *, name: str = "logits") -> np.ndarray:
    """Logits [N, K] of N samples over K classes, as float64.

    Raises:
      UserError: another rank, no samples, no classes, or values that are not finite real numbers.
    """
    array = real_array(name, logits).astype(np.float64)
    if array.ndim != 2 or array.size == 0:
        raise UserError(f"The {name} have shape {list(array.shape)}: give [N, K], one row of K numbers a sample.")
    if not np.isfinite(array).all():
        raise UserError(f"The {name} hold values that are not finite: look for broken samples, and leave them out.")
    return array


def check_numbers(name: str, numbers: ArrayLike, *, count: int | None = None, below: int | None = None) -> np.ndarray:
    """Integers [N] of at least 0, as int64.

    Args:
      count: N, where it is known.
      below: what all must be smaller than.

    Raises:
      UserError: another shape or type, or numbers out of range.
    """
    array = np.asarray(numbers)
    if (
        array.ndim != 1
        or array.dtype.kind not in "iu"
        or array.size == 0
        or (count is not None and len(array) != count)
    ):
        wanted = "[N]" if count is None else f"[{count}]"
        raise UserError(
            f"The {name} have shape {list(array.shape)} and type {array.dtype}: give one integer a sample, {wanted}."
        )
    low, high = int(array.min()), int(array.max())
    if low < 0 or (below is not None and high >= below):
        bound = "at least 0" if below is None else f"in 0..{below - 1}"
        raise UserError(f"The {name} must be {bound}, and they reach from {low} to {high}.")
    return array.astype(np.int64)
