"""Two-dimensional convolutions, equal to Flax's, in the form that is fast on the device at hand."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jax import Array, lax

from jaxgen.networks.direct_convolution import DIMENSION_NUMBERS
from jaxgen.networks.fast_convolution import (
    Padding,
    pooled_convolution,
    strided_convolution,
    transposed_convolution,
    upsampled_convolution,
)
from jaxgen.networks.resampling import average_pool, upsample


def fast_forms_pay() -> bool:
    """Whether convolutions take their fast exact forms: on a CPU. The one place where this is decided."""
    return jax.default_backend() == "cpu"


class _Convolution(nn.Module):
    """What both have in common.

    Attributes:
      features: channels of the output, F.
      kernel_size: (kh, kw).
      strides: one int for both axes or a pair.
      padding: "SAME", "VALID" or ((top, bottom), (left, right)).
      use_bias: whether to add a bias.
      kernel_init, bias_init: initialisers of `kernel` [kh, kw, C, F] and `bias` [F].
      dtype: of the computation; inferred where None.
      fast: the fast exact form (True), plain lax (False) or whichever the backend likes (None).
    """

    features: int
    kernel_size: Sequence[int]
    strides: int | Sequence[int] = 1
    padding: Padding = "SAME"
    use_bias: bool = True
    kernel_init: Callable = nn.initializers.lecun_normal()
    bias_init: Callable = nn.initializers.zeros
    dtype: jnp.dtype | None = None
    fast: bool | None = None

    def convolve(self, inputs: Array, fast_form: Callable, plain_form: Callable) -> Array:
        """`form(inputs, kernel)` and the bias."""
        kernel_shape = (*self.kernel_size, inputs.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, kernel_shape, jnp.float32)
        bias = self.param("bias", self.bias_init, (self.features,), jnp.float32) if self.use_bias else None
        inputs, kernel, bias = promote_dtype(inputs, kernel, bias, dtype=self.dtype)
        fast = fast_forms_pay() if self.fast is None else self.fast
        outputs = (fast_form if fast else plain_form)(inputs, kernel)
        return outputs if bias is None else outputs + bias

    def window(self) -> dict[str, Any]:
        """Strides and padding, as the forms take them."""
        strides = (self.strides,) * 2 if isinstance(self.strides, int) else tuple(self.strides)
        return {"strides": strides, "padding": self.padding}


class Conv(_Convolution):
    """`flax.linen.Conv` in two dimensions: the same parameters and, to float rounding, the same values.

    Attributes:
      resample: "up": of the doubled map (`upsample`); "down": the outputs are averaged over windows of 2x2
        (`average_pool`). With stride 1, "SAME" and an odd kernel; the same to rounding as beside this layer. Of the
        multiplications of 3x3 the fast forms take 4 of 9 and 1 of 4. None: neither.
    """

    resample: Literal["up", "down"] | None = None

    @nn.compact
    def __call__(self, inputs: Array) -> Array:
        """[B, H, W, C] -> [B, H', W', F]; for "SAME" H' = ceil(H / stride), or with `resample` 2 H or H // 2.

        Raises:
          ValueError: `resample` with a stride, another padding or an even kernel.
        """
        window = self.window()
        if self.resample is None:
            forms = (functools.partial(form, **window) for form in (strided_convolution, _plain_convolution))
            return self.convolve(inputs, *forms)
        if window != {"strides": (1, 1), "padding": "SAME"} or not all(k % 2 for k in self.kernel_size):
            raise ValueError('`resample` needs stride 1, "SAME" and an odd kernel')
        return self.convolve(inputs, *_RESAMPLED[self.resample])


class ConvTranspose(_Convolution):
    """`flax.linen.ConvTranspose` in two dimensions: the same parameters and, to float rounding, the same values.

    `strides` are pixels of the output for each pixel of the input.
    """

    @nn.compact
    def __call__(self, inputs: Array) -> Array:
        """[B, H, W, C] -> [B, H', W', F]; for "SAME" H' = H * stride."""
        forms = (functools.partial(form, **self.window()) for form in (transposed_convolution, lax.conv_transpose))
        return self.convolve(inputs, *forms)


def _plain_convolution(
    inputs: Array, kernel: Array, strides: tuple[int, int] = (1, 1), padding: Padding = "SAME"
) -> Array:
    return lax.conv_general_dilated(inputs, kernel, strides, padding, dimension_numbers=DIMENSION_NUMBERS)


_RESAMPLED = {
    "up": (upsampled_convolution, lambda inputs, kernel: _plain_convolution(upsample(inputs), kernel)),
    "down": (pooled_convolution, lambda inputs, kernel: average_pool(_plain_convolution(inputs, kernel))),
}
"""(the fast form, the plain one) of each `resample`."""
