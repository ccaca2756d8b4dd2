"""Convolutions, equal to Flax's, in the form that is fast on the current device.

Every argument of `flax.linen.Conv` and `flax.linen.ConvTranspose` is supported (except the hooks that replace the
convolution itself), with the same parameters. Two-dimensional convolutions without dilation and groups have fast forms
on a CPU; all others are left to XLA.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jax import Array

from jaxgen.networks.layers.convolution.dispatch import (
    pooled_convolution,
    strided_convolution,
    transposed_convolution,
    upsampled_convolution,
)
from jaxgen.networks.layers.convolution.plain import (
    PADDINGS,
    TRANSPOSED_PADDINGS,
    LayerPadding,
    Window,
    canonical_padding,
    each_axis,
    plain_convolution,
    plain_transposed_convolution,
)
from jaxgen.networks.layers.resampling import average_pool, upsample


def fast_forms_pay() -> bool:
    """Return whether convolutions take their fast exact forms, which is so on a CPU. This is decided nowhere else."""
    return jax.default_backend() == "cpu"


class _Convolution(nn.Module):
    """Base class of both layers.

    Attributes:
      features: channels of the output, F.
      kernel_size: (kh, kw), or one number for each axis; an int for one axis.
      strides: one int for all axes or one for each.
      padding: a name in `plain_convolution.PADDINGS` or `TRANSPOSED_PADDINGS`, one int for all sides, or for each axis
        an int or (before, after).
      kernel_dilation: steps between the kernel's taps, one int for all axes or one for each.
      use_bias: whether to add a bias.
      mask: array of the kernel's shape by which the kernel is multiplied.
      dtype: dtype of the computation; None: inferred.
      param_dtype: dtype in which the parameters are initialized.
      precision: precision of the products, as in `jax.lax.Precision`.
      kernel_init, bias_init: initializers of `kernel` [kh, kw, C, F] and `bias` [F].
      promote_dtype: function of (inputs, kernel, bias, dtype=...) that converts them to one type.
      fast: use the fast exact form if there is one (True), plain lax (False) or whichever is faster on the backend
        (None).
    """

    features: int
    kernel_size: int | Sequence[int]
    strides: int | Sequence[int] | None = 1
    padding: LayerPadding = "SAME"
    kernel_dilation: int | Sequence[int] | None = 1
    use_bias: bool = True
    mask: Array | None = None
    dtype: jnp.dtype | None = None
    param_dtype: jnp.dtype = jnp.float32
    precision: jax.lax.PrecisionLike = None
    kernel_init: Callable = nn.initializers.lecun_normal()
    bias_init: Callable = nn.initializers.zeros
    promote_dtype: Callable = promote_dtype
    fast: bool | None = None

    def convolve(self, inputs: Array, kernel_features: tuple[int, int], form: Callable[[Array, Array], Array]) -> Array:
        """Apply `form(inputs, kernel)` and the bias to [*, ..., C], with any number of leading axes."""
        rank = len(self.window().sizes)
        if inputs.ndim <= rank:
            raise ValueError(f"Inputs {list(inputs.shape)} have no {rank} axes for the kernel and one of channels.")
        shape = (*self.window().sizes, *kernel_features)
        if self.mask is not None and self.mask.shape != shape:
            raise ValueError(f"The mask {list(self.mask.shape)} must have the shape of the kernel, {list(shape)}.")
        kernel = self.param("kernel", self.kernel_init, shape, self.param_dtype)
        kernel = kernel if self.mask is None else kernel * self.mask
        bias = self.param("bias", self.bias_init, (self.features,), self.param_dtype) if self.use_bias else None
        inputs, kernel, bias = self.promote_dtype(inputs, kernel, bias, dtype=self.dtype)
        batch = inputs.shape[: -rank - 1]
        if len(batch) != 1:
            inputs = inputs.reshape(math.prod(batch), *inputs.shape[-rank - 1 :])
        outputs = form(inputs, kernel)
        outputs = outputs if bias is None else outputs + bias
        return outputs if len(batch) == 1 else outputs.reshape(*batch, *outputs.shape[1:])

    def window(self) -> Window:
        """Return kernel size, strides and dilation of each axis."""
        sizes = (self.kernel_size,) if isinstance(self.kernel_size, int) else tuple(self.kernel_size)
        strides, dilation = (each_axis(x, len(sizes)) for x in (self.strides, self.kernel_dilation))
        return Window(sizes, strides, dilation)

    def takes_fast_form(self, inputs: Array, padding: LayerPadding) -> bool:
        """Return whether the fast forms are wanted and support such a convolution."""
        window = self.window()
        fast = fast_forms_pay() if self.fast is None else self.fast
        plane = len(window.sizes) == 2 and not any(d != 1 for d in window.dilation) and self.precision is None
        numbers = inputs.size > 0 and jnp.issubdtype(inputs.dtype, jnp.floating)
        return fast and plane and numbers and (padding in ("SAME", "VALID") or not isinstance(padding, str))


class Conv(_Convolution):
    """`flax.linen.Conv`: the same parameters and, to float rounding, the same values.

    Attributes:
      input_dilation: steps between the inputs, one int for all axes or one for each.
      feature_group_count: number of groups of channels, each of which has its own share of the kernel's features.
      resample: "up": convolve the map upsampled by 2 (`upsample`); "down": average the outputs over 2x2 windows
        (`average_pool`). This requires two dimensions, stride 1, "SAME" and an odd kernel, and equals the separate
        operations to rounding. For 3x3 the fast forms take 4 of 9 and 1 of 4 of the multiplications. None: neither.
    """

    input_dilation: int | Sequence[int] | None = 1
    feature_group_count: int = 1
    resample: Literal["up", "down"] | None = None

    @nn.compact
    def __call__(self, inputs: Array) -> Array:
        """Map [*, H, W, C] to [*, H', W', F], or with another number of axes.

        For "SAME" H' = ceil(H / stride), or with `resample` 2 H or H // 2.

        Raises:
          ValueError: an argument is not valid, such as an unknown padding, or `resample` is used with a stride, another
            padding, an even kernel, dilation, groups or a precision.
        """
        window, groups, channels = self.window(), self.feature_group_count, inputs.shape[-1]
        dilation = each_axis(self.input_dilation, len(window.sizes))
        if groups < 1 or channels % groups or self.features % groups:
            raise ValueError(f"{channels} channels and {self.features} features do not make {groups} groups.")
        padding = canonical_padding(self.padding, window, PADDINGS)
        if isinstance(padding, str) and set(dilation) != {1}:
            raise ValueError(f"The padding {padding} is not defined for dilated inputs: give numbers.")
        plain = functools.partial(
            plain_convolution,
            window=window,
            padding=padding,
            input_dilation=dilation,
            groups=groups,
            precision=self.precision,
        )
        ungrouped = groups == 1 and set(dilation) == {1}

        def form(inputs: Array, kernel: Array) -> Array:
            fast = ungrouped and self.takes_fast_form(inputs, padding)
            if self.resample is not None:
                return _RESAMPLED[self.resample][0 if fast else 1](inputs, kernel)
            if fast and 0 not in jax.eval_shape(plain, inputs, kernel).shape:
                return strided_convolution(inputs, kernel, window.strides, padding)
            return plain(inputs, kernel)

        if self.resample is not None:
            simple = ungrouped and self.precision is None and window == Window(window.sizes, (1, 1), (1, 1))
            if not (simple and padding == "SAME" and all(k % 2 for k in window.sizes)):
                raise ValueError('`resample` needs two axes, stride 1, "SAME", an odd kernel and nothing else')
        return self.convolve(inputs, (channels // groups, self.features), form)


class ConvTranspose(_Convolution):
    """`flax.linen.ConvTranspose`: the same parameters and, to float rounding, the same values.

    `strides` are pixels of the output for each pixel of the input.

    Attributes:
      transpose_kernel: whether the kernel is that of the convolution from F to C channels, [kh, kw, F, C], of which
        this layer is the transpose.
      preferred_element_type: dtype of the sums of products, as in `jax.lax.conv_transpose`.
    """

    transpose_kernel: bool = False
    preferred_element_type: jnp.dtype | None = None

    @nn.compact
    def __call__(self, inputs: Array) -> Array:
        """Map [*, H, W, C] to [*, H', W', F], or with another number of axes; for "SAME" H' = H * stride.

        Raises:
          ValueError: an argument is not valid, such as an unknown padding.
        """
        window = self.window()
        padding = canonical_padding(self.padding, window, TRANSPOSED_PADDINGS)
        plain = functools.partial(
            plain_transposed_convolution,
            window=window,
            padding=padding,
            transpose_kernel=self.transpose_kernel,
            precision=self.precision,
            preferred_element_type=self.preferred_element_type,
        )

        def form(inputs: Array, kernel: Array) -> Array:
            simple = not self.transpose_kernel and self.preferred_element_type is None
            if (
                simple
                and self.takes_fast_form(inputs, padding)
                and 0 not in jax.eval_shape(plain, inputs, kernel).shape
            ):
                return transposed_convolution(inputs, kernel, window.strides, padding)
            return plain(inputs, kernel)

        channels = (self.features, inputs.shape[-1]) if self.transpose_kernel else (inputs.shape[-1], self.features)
        return self.convolve(inputs, channels, form)


def _unit_convolution(inputs: Array, kernel: Array) -> Array:
    return plain_convolution(inputs, kernel, Window(kernel.shape[:2], (1, 1), (1, 1)), "SAME")


_RESAMPLED = {
    "up": (upsampled_convolution, lambda inputs, kernel: _unit_convolution(upsample(inputs), kernel)),
    "down": (pooled_convolution, lambda inputs, kernel: average_pool(_unit_convolution(inputs, kernel))),
}
"""(fast form, plain form) for each `resample`."""
