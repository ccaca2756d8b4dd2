"""Two-dimensional convolutions, equal to Flax's, in the form that is fast on the device at hand."""

from collections.abc import Callable, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jax import Array, lax

from jaxgen.networks.fast_convolution import (
    DIMENSION_NUMBERS,
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


class Conv(nn.Module):
    """`flax.linen.Conv` in two dimensions: the same parameters and, to float rounding, the same values.

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

    @nn.compact
    def __call__(self, inputs: Array) -> Array:
        """[B, H, W, C] -> [B, H', W', F]; for "SAME" H' = ceil(H / stride)."""
        return _convolve(self, inputs, strided_convolution, _plain_convolution)


class ConvTranspose(nn.Module):
    """`flax.linen.ConvTranspose` in two dimensions: the same parameters and, to float rounding, the same values.

    The attributes are those of `Conv`; `strides` are pixels of the output for each pixel of the input.
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

    @nn.compact
    def __call__(self, inputs: Array) -> Array:
        """[B, H, W, C] -> [B, H', W', F]; for "SAME" H' = H * stride."""
        return _convolve(self, inputs, transposed_convolution, lax.conv_transpose)


class UpsampledConv(nn.Module):
    """`upsample`, then `Conv` with stride 1 and "SAME": the same parameters and, to float rounding, the same values.

    The attributes are those of `Conv`; the kernel's sizes are odd. The fast form takes 4 of 9 multiplications for 3x3.
    """

    features: int
    kernel_size: Sequence[int]
    use_bias: bool = True
    kernel_init: Callable = nn.initializers.lecun_normal()
    bias_init: Callable = nn.initializers.zeros
    dtype: jnp.dtype | None = None
    fast: bool | None = None

    @nn.compact
    def __call__(self, inputs: Array) -> Array:
        """[B, H, W, C] -> [B, 2 H, 2 W, F]."""
        return _convolve(self, inputs, upsampled_convolution, _plain_upsampled_convolution)


class PooledConv(nn.Module):
    """`Conv` with stride 1 and "SAME", then `average_pool`: the same parameters and, to float rounding, values.

    The attributes are those of `Conv`; the kernel's sizes are odd. The fast form takes 1 of 4 multiplications for 3x3.
    """

    features: int
    kernel_size: Sequence[int]
    use_bias: bool = True
    kernel_init: Callable = nn.initializers.lecun_normal()
    bias_init: Callable = nn.initializers.zeros
    dtype: jnp.dtype | None = None
    fast: bool | None = None

    @nn.compact
    def __call__(self, inputs: Array) -> Array:
        """[B, H, W, C] -> [B, H // 2, W // 2, F]."""
        return _convolve(self, inputs, pooled_convolution, _plain_pooled_convolution)


def _convolve(module: nn.Module, inputs: Array, fast_form: Callable, plain_form: Callable) -> Array:
    kernel_shape = (*module.kernel_size, inputs.shape[-1], module.features)
    kernel = module.param("kernel", module.kernel_init, kernel_shape, jnp.float32)
    bias = module.param("bias", module.bias_init, (module.features,), jnp.float32) if module.use_bias else None
    inputs, kernel, bias = promote_dtype(inputs, kernel, bias, dtype=module.dtype)
    how = ()
    if isinstance(module, Conv | ConvTranspose):
        how = ((module.strides,) * 2 if isinstance(module.strides, int) else tuple(module.strides), module.padding)
    fast = fast_forms_pay() if module.fast is None else module.fast
    outputs = (fast_form if fast else plain_form)(inputs, kernel, *how)
    return outputs if bias is None else outputs + bias


def _plain_convolution(inputs: Array, kernel: Array, strides: tuple[int, int], padding: Padding) -> Array:
    return lax.conv_general_dilated(inputs, kernel, strides, padding, dimension_numbers=DIMENSION_NUMBERS)


def _plain_upsampled_convolution(inputs: Array, kernel: Array) -> Array:
    return _plain_convolution(upsample(inputs), kernel, (1, 1), "SAME")


def _plain_pooled_convolution(inputs: Array, kernel: Array) -> Array:
    return average_pool(_plain_convolution(inputs, kernel, (1, 1), "SAME"))
