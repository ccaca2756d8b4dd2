"""XLA convolutions of every kind that Flax's layers support."""

from collections.abc import Sequence
from typing import NamedTuple, cast

import jax.numpy as jnp
from jax import Array, lax
from jax.typing import DTypeLike

Pads = list[tuple[int, int]]
LayerPadding = str | int | Sequence[int | tuple[int, int]]

PADDINGS = ("SAME", "VALID", "SAME_LOWER", "CIRCULAR", "REFLECT", "CAUSAL")
"""Names of a convolution's padding. "SAME": zeros so that there are ceil(size / stride) outputs, an odd one after
("SAME_LOWER": before). "VALID": no padding. "CIRCULAR": the values of the other end. "REFLECT": the values mirrored at
the border. "CAUSAL": zeros before a single axis."""
TRANSPOSED_PADDINGS = ("SAME", "VALID", "CIRCULAR")


class Window(NamedTuple):
    """How a kernel moves along each axis."""

    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    dilation: tuple[int, ...]

    @property
    def spans(self) -> list[int]:
        """Distances from the first tap to the last, both included."""
        return [(k - 1) * d + 1 for k, d in zip(self.sizes, self.dilation, strict=True)]


def each_axis(value: int | Sequence[int] | None, rank: int) -> tuple[int, ...]:
    """Return the strides or dilation of each axis; None: 1.

    Raises:
      ValueError: the number of values does not match the axes, or one is below 1.
    """
    values = (1 if value is None else value,) * rank if value is None or isinstance(value, int) else tuple(value)
    if len(values) != rank or any(x < 1 for x in values):
        raise ValueError(
            f"Strides and dilations are one number of at least 1, or one for each of {rank} axes: {value}."
        )
    return values


def canonical_padding(padding: LayerPadding, window: Window, names: Sequence[str]) -> str | Pads:
    """Return one of the names, or (before, after) for each axis.

    Raises:
      ValueError: the name is unknown, or the padding does not fit these axes.
    """
    rank = len(window.sizes)
    if isinstance(padding, str):
        name = padding.upper()
        if name not in names:
            raise ValueError(f"There is no padding {padding!r}: use {', '.join(names)} or numbers.")
        if name == "CAUSAL" and rank != 1:
            raise ValueError(f"Causal padding is of one axis, not of {rank}.")
        return name
    sides = (padding,) * rank if isinstance(padding, int) else tuple(padding)
    pads = [(side, side) if isinstance(side, int) else cast(tuple[int, int], tuple(side)) for side in sides]
    if len(pads) != rank or any(len(pad) != 2 for pad in pads):
        raise ValueError(
            f"A padding is a name, an int, or an int or (before, after) for each of {rank} axes: {padding}."
        )
    return pads


def plain_convolution(
    inputs: Array,
    kernel: Array,
    window: Window,
    padding: str | Pads,
    input_dilation: Sequence[int] | None = None,
    groups: int = 1,
    precision: lax.PrecisionLike = None,
    preferred_element_type: DTypeLike | None = None,
) -> Array:
    """Do `lax.conv_general_dilated` of [B, ..., C] and [..., C / groups, F], with the paddings of Flax's layers.

    Raises:
      ValueError: the inputs are too small to be reflected.
    """
    dilation = tuple(input_dilation or (1,) * len(window.sizes))
    if padding in ("CIRCULAR", "REFLECT", "CAUSAL"):
        inputs, padding = _padded_by_name(inputs, window, padding), "VALID"
    if not isinstance(padding, str) and any(max(pad) >= span for pad, span in zip(padding, window.spans, strict=True)):
        # With more zeros than the kernel reaches over, the gradient is a convolution that leaves out some inputs.
        # XLA's CPU code has been wrong for such a one in float32; zeros that are in the inputs do not need it.
        zeros = [(0, 0, 0), *((*pad, d - 1) for pad, d in zip(padding, dilation, strict=True)), (0, 0, 0)]
        inputs, padding = lax.pad(inputs, jnp.zeros((), inputs.dtype), zeros), "VALID"
        dilation = (1,) * len(dilation)
    return lax.conv_general_dilated(
        inputs,
        kernel,
        window.strides,
        padding,
        lhs_dilation=dilation,
        rhs_dilation=window.dilation,
        dimension_numbers=_channels_last(len(window.sizes)),
        feature_group_count=groups,
        precision=precision,
        preferred_element_type=preferred_element_type,
    )


def plain_transposed_convolution(
    inputs: Array,
    kernel: Array,
    window: Window,
    padding: str | Pads,
    transpose_kernel: bool = False,
    precision: lax.PrecisionLike = None,
    preferred_element_type: DTypeLike | None = None,
) -> Array:
    """Do `lax.conv_transpose` of [B, ..., C] and [..., C, F] (transposed: [..., F, C]), with Flax's paddings.

    Raises:
      ValueError: the inputs are empty and the padding is "CIRCULAR".
    """
    pads = padding
    if isinstance(padding, str):
        steps = zip(window.spans, window.strides, strict=True)
        pads = [transposed_pads(span, step, padding) for span, step in steps]
    if transpose_kernel:
        kernel = jnp.flip(kernel, range(len(window.sizes))).swapaxes(-1, -2)
    outputs = plain_convolution(
        inputs,
        kernel,
        window._replace(strides=(1,) * len(window.sizes)),
        pads,
        window.strides,
        precision=precision,
        preferred_element_type=preferred_element_type,
    )
    if padding == "CIRCULAR":
        _check_values(inputs)
        periods = [n * s for n, s in zip(inputs.shape[1:-1], window.strides, strict=True)]
        return _wrapped(outputs, periods, more_after=transpose_kernel)
    return outputs


def transposed_pads(span: int, step: int, padding: str) -> tuple[int, int]:
    """Return an axis's padding of the dilated inputs as in `lax.conv_transpose`; only "SAME" crops outputs."""
    if padding == "SAME":
        total = span + step - 2
        before = span - 1 if step > span - 1 else -(-total // 2)
    else:
        total = span + step - 2 + max(span - step, 0)
        before = span - 1
    return before, total - before


def _channels_last(rank: int) -> lax.ConvDimensionNumbers:
    axes = tuple(range(rank))
    ends = (0, rank + 1, *(axis + 1 for axis in axes))
    return lax.ConvDimensionNumbers(ends, (rank + 1, rank, *axes), ends)


def _padded_by_name(inputs: Array, window: Window, name: str) -> Array:
    if name == "CAUSAL":
        return jnp.pad(inputs, ((0, 0), (window.spans[0] - 1, 0), (0, 0)))
    _check_values(inputs)
    pads = [((span - 1) // 2, span // 2) for span in window.spans]
    return jnp.pad(inputs, ((0, 0), *pads, (0, 0)), mode={"CIRCULAR": "wrap", "REFLECT": "reflect"}[name])


def _check_values(inputs: Array) -> None:
    if 0 in inputs.shape[1:-1]:
        raise ValueError(f"Inputs {list(inputs.shape)} have no values to go round or to reflect.")


def _wrapped(outputs: Array, periods: Sequence[int], *, more_after: bool) -> Array:
    """Sum full outputs [B, ..., F] over the positions that coincide on a circle, and center them.

    Args:
      more_after: if an odd number of outputs is missing, whether the extra one is added after them; else before.
    """
    for axis, period in enumerate(periods, 1):
        missing = -(outputs.shape[axis] - period) % (2 * period)
        pads = [(0, 0)] * outputs.ndim
        pads[axis] = (missing // 2, -(-missing // 2)) if more_after else (-(-missing // 2), missing // 2)
        outputs = jnp.pad(outputs, pads)
        laps = outputs.shape[axis] // period
        outputs = outputs.reshape(*outputs.shape[:axis], laps, period, *outputs.shape[axis + 1 :]).sum(axis)
    return outputs
