"""Normalisation layers."""

from collections.abc import Callable

import flax.linen as nn
from jax import Array

from jaxgen.training.parallel import AXIS, axis_is_bound


class BatchNorm(nn.Module):
    """Batch normalisation with the statistics of the whole batch, over all devices where there are several.

    y = scale (x - mean) / sqrt(variance + epsilon) + bias, with the mean and variance of each channel over every other
    axis (Ioffe and Szegedy 2015, arXiv:1502.03167, Algorithm 1). While training they come from the batch, and running
    averages of them go to the collection `batch_stats`; otherwise the running averages are used.

    A layer just before it needs no bias.

    Attributes:
      momentum: decay of the running averages.
      epsilon: added to the variance.
      use_scale: whether there is a learned `scale` [C].
      use_bias: whether there is a learned `bias` [C].
      scale_init: initialiser of `scale`.
    """

    momentum: float = 0.9
    epsilon: float = 1e-5
    use_scale: bool = True
    use_bias: bool = True
    scale_init: Callable = nn.initializers.ones

    @nn.compact
    def __call__(self, inputs: Array, *, train: bool) -> Array:
        """[..., C] -> [..., C]."""
        norm = nn.BatchNorm(
            use_running_average=not train,
            momentum=self.momentum,
            epsilon=self.epsilon,
            use_scale=self.use_scale,
            use_bias=self.use_bias,
            scale_init=self.scale_init,
            axis_name=AXIS if axis_is_bound() else None,
        )
        nn.share_scope(self, norm)  # the parameters are this layer's own, not a child's
        return norm(inputs)
