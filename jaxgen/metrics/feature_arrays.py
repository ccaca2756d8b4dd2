"""Checks shared by all functions of arrays of features, logits and labels.

An array of which a metric would be meaningless is refused in one sentence (`UserError`): complex numbers, texts or
objects, another rank, no samples, values that are not finite. All others are computed in float64 if they are float64 or
integers of more than 16 bits, and otherwise in float32.
"""

import numpy as np
from numpy.typing import ArrayLike

from jaxgen.core.errors import UserError

MOST = 1e50
"""Largest feature whose square, cubed, is finite in float64."""
SAFE_IN_FLOAT32 = 1e-6, 1e6
"""Range of magnitudes in which a square, cubed, is a normal number in float32."""


def real_array(name: str, values: ArrayLike) -> np.ndarray:
    """Return an array of real numbers as float32 or float64, according to its type.

    Raises:
      UserError: the values are complex numbers, texts or objects.
    """
    array = np.asarray(values)
    if array.dtype.kind == "V":  # bfloat16 and similar types are unknown to NumPy
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
    """Return arrays of features [N, F], given by their names for messages, as one type, in the order given.

    They become float64 if any is float64, has integers of more than 16 bits, or holds numbers whose powers would leave
    the range of float32; otherwise float32.

    Raises:
      UserError: an array has another rank, no samples, complex or other values, or values that are not finite or above
        1e50; or the arrays have unequal F.
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
    """Return logits [N, K] of N samples over K classes as float64.

    Raises:
      UserError: the logits have another rank, no samples, no classes, or values that are not finite real numbers.
    """
    array = real_array(name, logits).astype(np.float64)
    if array.ndim != 2 or array.size == 0:
        raise UserError(f"The {name} have shape {list(array.shape)}: give [N, K], one row of K numbers a sample.")
    if not np.isfinite(array).all():
        raise UserError(f"The {name} hold values that are not finite: look for broken samples, and leave them out.")
    return array


def check_numbers(name: str, numbers: ArrayLike, *, count: int | None = None, below: int | None = None) -> np.ndarray:
    """Return integers [N] of at least 0 as int64.

    Args:
      count: N, if it is known.
      below: bound that all must be below.

    Raises:
      UserError: the shape or type is another, or a number is out of range.
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
